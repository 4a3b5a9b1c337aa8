// The legend: a button for each group with its colour and its count, which shows that group alone; and the other splits.

class Legend {
  constructor(map, root) { this.map = map; this.root = root; }

  draw() {
    const { map } = this, { counts, chosen, points, only } = map, picked = new Uint32Array(counts.length);
    if (chosen) points.index.forEach((index, i) => { if (chosen.has(index)) picked[Math.min(points.group[i], picked.length - 1)]++; });
    const buttons = [...counts].flatMap((count, group) => {
      if (!count) return [];
      const name = map.groupName(group), button = this.button(map.colour(group), name, chosen ? `${whole(picked[group])} of ${whole(count)}` : whole(count));
      Object.assign(button, { title: `Show only ${name}; click again to undo`, className: map.shows(group) ? "" : "off" });
      button.setAttribute("aria-pressed", only.has(group));
      button.onclick = () => { if (!only.delete(group)) only.add(group); map.paint(); };
      return [button];
    });
    this.root.replaceChildren(...buttons, ...this.behind());
  }

  /** The points of the other splits, in grey behind the others where somebody asks for them. */
  behind() {
    const { map } = this, { behind } = map.data;
    if (!behind) return [];
    const button = this.button(GREY, behind.name, map.backdrop ? whole(map.backdrop[0].length) : "");
    Object.assign(button, { title: "Points of the other splits, in grey behind these", className: map.backdrop ? "behind" : "behind off" });
    button.setAttribute("aria-pressed", Boolean(map.backdrop));
    button.onclick = () => map.showBehind(!map.backdrop);
    return [button];
  }

  button(colour, text, number) {
    const button = document.createElement("button"), [dot, name, count] = ["i", "b", "span"].map((tag) => document.createElement(tag));
    dot.style.background = colour;
    name.textContent = text;
    count.textContent = number;
    button.type = "button";
    button.append(dot, name, count);
    return button;
  }
}
