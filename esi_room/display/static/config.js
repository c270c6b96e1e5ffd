// @ts-check
/**
 * `config.json`, beside the page: which room, where the broker is, who looks. A page that is opened before its server
 * is up waits for it.
 */
const RETRY_MS = 2000;

/** @returns {Promise<any>} */
export async function configuration() {
  for (;;) {
    try {
      const answer = await fetch(new URL("config.json", document.baseURI), { cache: "no-store" });
      if (answer.ok && !answer.redirected) return await answer.json();
      if (answer.status === 401 || answer.redirected) location.reload(); // the server shows its login page
    } catch {
      // not there yet, or not whole: again
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

let leaving = false;

/** Somebody logs out: the page that comes then is not to be overtaken by a reload of this one. */
export function leave() {
  leaving = true;
}

/**
 * After a connection was lost: whether it is our login that has ended. Then the server's login page takes this one's
 * place. A server that is away says nothing, and the page stays as it is.
 */
export async function checkLogin() {
  if (leaving) return;
  try {
    const answer = await fetch(new URL("config.json", document.baseURI), { cache: "no-store" });
    if (answer.status === 401) location.reload();
  } catch {
    // away
  }
}
