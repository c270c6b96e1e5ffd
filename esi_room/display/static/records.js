// @ts-check
/**
 * The list of the records: takes in what is verified while the page is looked at.
 *
 * The page is made by the server, whole; this asks for it again for as long as something is not verified yet, and puts
 * the new table into the place of the old one.
 */

const AGAIN_MS = 2000;

async function again() {
  const old = document.getElementById("found");
  if (old === null || !("pending" in old.dataset)) return;
  try {
    const answer = await fetch(location.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById("found");
    if (answer.ok && found !== null) old.replaceWith(document.adoptNode(found));
  } catch {
    // the server is away: what is shown stays, with the times that it says
  }
  setTimeout(again, AGAIN_MS);
}

setTimeout(again, AGAIN_MS);
