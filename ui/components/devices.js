// The host's devices: their bars move by themselves, every two seconds, where somebody looks.
const EVERY = 2000;

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".root");
  root.className = "root aelab-devices";
  root.innerHTML = data.html;
  const timer = setInterval(async () => {
    if (document.hidden) return;
    const found = await fetch(address(data.path)).then((answer) => answer.json()).catch(() => null);
    if (!found || !root.isConnected) return;
    const drawn = element("div");
    drawn.innerHTML = found.html;
    move(root, drawn);
  }, EVERY);
  return () => clearInterval(timer);
}

// Texts and widths in place, so that a bar glides; everything anew where there are other devices.
function move(old, now) {
  const [before, after] = [old, now].map((one) => [...one.querySelectorAll("span, b, i > i")]);
  if (before.length !== after.length) { old.innerHTML = now.innerHTML; return; }
  before.forEach((one, at) => {
    if (one.tagName === "I") one.style.width = after[at].style.width;
    else if (one.textContent !== after[at].textContent) one.textContent = after[at].textContent;
  });
}
