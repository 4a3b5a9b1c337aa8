// The first pictures in the document itself, in the theme that the page will have. They go when the page has drawn them, too, and wherever it
// has something else to show; after LONGEST in any case.
const LONGEST = 15000, LOOK = 200;
const ELSE = '[data-testid="stAlert"], [data-testid="stException"], [role="dialog"]';

function opened(film, style) {
  const opening = document.getElementById("opening"), at = location.pathname, ends = [() => opening.remove()];
  const gone = () => { while (ends.length) ends.pop()(); };
  const looks = setInterval(() => { if (location.pathname !== at || document.querySelector(ELSE)) gone(); }, LOOK), late = setTimeout(gone, LONGEST);
  ends.push(() => clearInterval(looks), () => clearTimeout(late));
  try {
    const place = opening.querySelector("article:last-child").attachShadow({ mode: "open" });
    opening.classList.toggle("dark", dark());
    place.innerHTML = `<style>${style}</style><div class="root"></div>`;
    ends.push(strips({ data: film, parentElement: place }), hear("drawn", (root) => { if (root.getRootNode() !== place) gone(); }));
  } catch { gone(); } // a browser that keeps nothing for pages, say
}

// Whether the visitor's choice for this address is the dark theme, or the system's where none was made.
function dark() {
  const chosen = Object.entries(localStorage).find(([name]) => name.startsWith(`stActiveTheme-${location.pathname}-`))?.[1] ?? "";
  const named = /Dark|Light/.exec(chosen)?.[0];
  return named ? named === "Dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
