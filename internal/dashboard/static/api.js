// The token came in the fragment of the link. It is kept for this tab, whose
// storage no other origin reads, and leaves the address at once.
const kept = "token";
if (location.hash.length > 1) {
  sessionStorage.setItem(kept, location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}
const headers = more => ({Authorization: "Bearer " + (sessionStorage.getItem(kept) ?? ""), ...more});

export class Refused extends Error {}

async function checked(response) {
  if (response.ok) return response;
  const text = await response.text();
  if (response.status === 401) throw new Refused("This page has no token: open the link that the command has printed.");
  let why = text.trim();
  try { why = JSON.parse(text).error; } catch { /* it is no JSON */ }
  throw new Error(why || response.statusText);
}

export const get = async (path, signal) => (await checked(await fetch(path, {headers: headers(), signal}))).json();

export const post = async path => (await checked(await fetch(path, {
  method: "POST", headers: headers({"Content-Type": "application/json"}), body: "{}",
}))).json();

// silence is how long nothing may come before the connection counts as lost: the
// server sends something every 15 seconds.
const silence = 40000;

// follow reads the events until the last one, and begins again when it was cut off.
// A browser's own EventSource would do but for the header with the token.
export async function follow({event, lost, refused}) {
  let last = "", wait = 500, over = false;
  while (!over) {
    try {
      await stream(last, async (name, id, data) => {
        if (id) last = id;
        wait = 500;
        return over ||= await event(name, JSON.parse(data));
      });
    } catch (e) {
      if (e instanceof Refused) return refused(e);
    }
    if (over) return;
    lost();
    await new Promise(go => setTimeout(go, wait));
    wait = Math.min(2 * wait, 10000);
  }
}

async function stream(last, event) {
  const stop = new AbortController();
  let watch = setTimeout(() => stop.abort(), silence);
  try {
    const response = await checked(await fetch("api/events", {headers: headers(last && {"Last-Event-ID": last}), signal: stop.signal}));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const {value, done} = await reader.read();
      if (done) return;
      clearTimeout(watch);
      watch = setTimeout(() => stop.abort(), silence);
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        if (await told(part, event)) return stop.abort(); // that was the last one
      }
    }
  } finally {
    clearTimeout(watch);
  }
}

function told(part, event) {
  const field = {};
  for (const line of part.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) field[line.slice(0, colon)] = line.slice(colon + 2);
  }
  return field.event ? event(field.event, field.id, field.data) : false;
}
