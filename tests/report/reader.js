// What the browser tests ask of a page.
window.reader = {
  // Where an item lies on the screen before any zoom.
  place(row) {
    const map = JSON.parse(document.getElementById("data").textContent).map, canvas = document.getElementById("map-canvas");
    const box = canvas.getBoundingClientRect(), scale = (Math.min(canvas.clientWidth, canvas.clientHeight) - 28) / map.side;
    const across = (map.x[row] - map.side / 2) * scale, down = (map.y[row] - map.side / 2) * scale;
    return [box.left + across + canvas.clientWidth / 2, box.top + down + canvas.clientHeight / 2];
  },
  // Pixels of the map that are drawn on.
  ink() {
    const canvas = document.getElementById("map-canvas");
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let drawn = 0;
    for (let i = 3; i < pixels.length; i += 4) if (pixels[i]) drawn++;
    return drawn;
  },
  // Elements that reach beyond the right edge.
  wide() {
    const all = [...document.querySelectorAll("main *")].filter((e) => !e.closest(".hidden, .scroll, svg"));
    return all.filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5).map((e) => e.outerHTML.slice(0, 120));
  },
  // Words with less contrast than 4.5 : 1 (WCAG 2, level AA) to what they stand on.
  faint() {
    const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
    const ground = (element) => {
      for (let e = element; e; e = e.parentElement) {
        const colour = parse(getComputedStyle(e).backgroundColor);
        if (colour.length < 4 || colour[3] === 1) return colour;
      }
      return [255, 255, 255];
    };
    const light = (colour) => {
      const [r, g, b] = colour.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    for (const e of document.querySelectorAll("main *, footer *")) {
      const worded = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
      if (!worded || !e.offsetParent || e.closest("svg, .hidden, noscript")) continue;
      const a = light(parse(getComputedStyle(e).color)), b = light(ground(e));
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${e.outerHTML.slice(0, 90)}`);
    }
    return found;
  },
  // Pictures, charts, sections and buttons that a screen reader could not name.
  nameless() {
    const named = (e) => e.getAttribute("aria-label") || e.getAttribute("aria-labelledby");
    const buttons = [...document.querySelectorAll("button")].filter((e) => !e.innerText.trim() && !named(e));
    const others = [...document.querySelectorAll("svg[role=img], canvas, section")].filter((e) => !named(e));
    return [...buttons, ...others, ...[...document.images].filter((e) => !e.hasAttribute("alt"))].map((e) => e.outerHTML.slice(0, 90));
  },
};
