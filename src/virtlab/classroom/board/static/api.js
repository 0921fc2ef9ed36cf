// What came with the page, and asking the board.
export const read = (id) => JSON.parse(document.getElementById(id).textContent);
export const about = read("about");

export async function ask(path, body = null) {
  const options = { headers: { "X-XSRFToken": about.xsrf, Accept: "application/json" } };
  if (body) Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  const answer = await fetch(path, options);
  if (answer.status === 403 && !body) location.reload();    // logged out meanwhile: the hub asks again
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error?.message || answer.statusText);
  return said;
}
