// The least that a page can do: MQTT.js and a value in the document. Nothing is checked, nothing ages, nothing is kept.
async () => {
  document.body.innerHTML = '<p id="value"></p><canvas id="picture"></canvas>';
  const [value, picture] = document.body.children;
  const { default: mqtt } = await import("/static/vendor/mqtt.js");
  const config = await (await fetch("/config.json")).json();
  const url = new URL("/mqtt", location.href.replace(/^http/, "ws"));
  const client = mqtt.connect(url.href, { clientId: `${config.client}-bare`, protocolVersion: 4, timerVariant: "native" });
  client.on("message", async (topic, octets) => {
    if (topic.endsWith("state/vitals")) value.textContent = JSON.parse(octets.toString()).values[0].value;
    if (!topic.endsWith("image/last") || !octets.length) return;
    const bitmap = await createImageBitmap(new Blob([octets], { type: "image/jpeg" }));
    [picture.width, picture.height] = [bitmap.width, bitmap.height];
    picture.getContext("2d").drawImage(bitmap, 0, 0);
  });
  const room = `esi/${config.room}`;
  client.subscribe([`${room}/state/#`, `${room}/event/#`, `${room}/image/last`], { qos: 1 });
}
