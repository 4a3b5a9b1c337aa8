// Shows the drawing that ui/hourglass.py made. Its parts move by themselves, by the style sheet beside this file.
export default function ({ data, parentElement }) {
  const place = parentElement.querySelector(".network");
  if (place.drawn === data.drawing) return;
  place.drawn = data.drawing;
  place.innerHTML = data.drawing;
}
