// What the live components share; it stands before each of them in one module. Elements, addresses, the URL, and the moment.
const element = (tag, className, parent) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  parent?.append(made);
  return made;
};
const address = (path) => new URL(path, document.baseURI).href;
const signed = (path, token) => address(`${path}${path.includes("?") ? "&" : "?"}token=${token}`); // see ui/tickets.py

// What a viewer chose stands in the page's address: nothing reruns for it, a reload keeps it, and a link carries it.
const asked = (name) => new URLSearchParams(location.search).get(name);
const waiting = new Map();
function keep(name, value) {
  clearTimeout(waiting.get(name)); // a slider that is dragged must not write a hundred times: browsers refuse that
  waiting.set(name, setTimeout(() => {
    const url = new URL(location.href);
    if (value == null || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
    if (url.href !== location.href) history.replaceState(history.state, "", url);
  }, 250));
}

// The moment of a run that all components show: whoever has the slider says "moment"; whoever wants another one says "seek".
const say = (what, detail) => document.dispatchEvent(new CustomEvent(`aelab-${what}`, { detail }));
const hear = (what, act) => {
  const heard = (event) => act(event.detail);
  document.addEventListener(`aelab-${what}`, heard);
  return () => document.removeEventListener(`aelab-${what}`, heard);
};
