// A plot that stands still: an SVG that the server made, and its two files, made in the browser.
export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".root");
  if (root.dataset.svg === data.svg) return;
  root.dataset.svg = data.svg;
  root.innerHTML = data.svg + '<div class="files"><button type="button">PNG</button><button type="button">SVG</button></div>';
  const [png, svg] = root.querySelectorAll("button");
  png.title = "Save as PNG";
  svg.title = "Save as SVG";
  svg.onclick = () => save(new Blob([file(root)], { type: "image/svg+xml" }), `${data.name}.svg`);
  png.onclick = () => draw(root, `${data.name}.png`);
}

// The picture as a file of its own: dark on white, whatever the page looks like.
function file(root) {
  const copy = root.querySelector("svg").cloneNode(true);
  copy.style.color = "#1c1f24";
  copy.style.background = "#ffffff";
  return new XMLSerializer().serializeToString(copy);
}

async function draw(root, name) {
  const { width, height } = root.querySelector("svg").viewBox.baseVal, image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(file(root))}`;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: 3 * width, height: 3 * height }), pen = canvas.getContext("2d");
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => save(blob, name));
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
