// The first pictures in the document itself, in the theme that the page will have; they go when the page has drawn them, too.
const LONGEST = 15000;

function opened(film, style) {
  const opening = document.getElementById("opening"), place = opening.querySelector("article:last-child").attachShadow({ mode: "open" });
  const chosen = Object.entries(localStorage).find(([name]) => name.startsWith(`stActiveTheme-${location.pathname}-`))?.[1] ?? "";
  const named = /Dark|Light/.exec(chosen)?.[0];
  opening.classList.toggle("dark", named ? named === "Dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  place.innerHTML = `<style>${style}</style><div class="root"></div>`;
  const close = strips({ data: film, parentElement: place });
  const deaf = hear("drawn", (root) => root.getRootNode() !== place && gone());
  const late = setTimeout(() => gone(), LONGEST);
  const gone = () => { deaf(); clearTimeout(late); close(); opening.remove(); };
}
