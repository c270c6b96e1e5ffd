# The daemon in a container, made of the very steps that continuous integration runs (`make install`), because those
# are proven on every change. No container engine has proven this file itself.
#
#   docker build -t esi-room .
#   docker run --network host --device /dev/ttyUSB0 -v "$PWD/config:/config:ro" -v esi-room-data:/data esi-room
#
# `data` in room.toml must mean /data ("../data" beside /config does). A by-id path exists inside the container only
# if it is passed: --device /dev/serial/by-id/usb-...
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*

# dialout: the group that may open serial ports. /data is made here so that a new volume belongs to the user.
RUN useradd --system --create-home --groups dialout esi-room \
    && install --directory --owner esi-room --mode 0700 /data

WORKDIR /opt/esi_room
COPY . .
RUN make install

USER esi-room
ENV PATH="/opt/esi_room/.venv/bin:$PATH" PYTHONDONTWRITEBYTECODE=1
VOLUME ["/data"]
CMD ["esi-room", "run", "--config", "/config/room.toml"]
