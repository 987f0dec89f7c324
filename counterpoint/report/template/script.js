"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  root.classList.add("script");
  const make = (name, text, kind) => {
    const node = document.createElement(name);
    if (text !== undefined) node.textContent = text;
    if (kind) node.className = kind;
    return node;
  };

  // ---- light and dark ----
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    dispatchEvent(new Event("themechange"));
  });

  // ---- pictures: large ones smoothly, small ones with sharp pixels ----
  const fit = (img) => {
    const set = () => img.classList.toggle("smooth", Math.max(img.naturalWidth, img.naturalHeight) > 64);
    if (img.complete) set(); else img.addEventListener("load", set);
  };
  document.querySelectorAll(".item img").forEach(fit);

  // ---- a box beside a place, kept inside its frame ----
  const place = (tip, x, y, frame) => {
    tip.hidden = false;
    const wide = tip.offsetWidth, high = tip.offsetHeight;
    let left = x + 14, top = y - high - 12;
    if (left + wide > frame.clientWidth) left = x - wide - 14;
    if (left < 0) left = Math.max(0, Math.min(frame.clientWidth - wide, x - wide / 2));
    if (top < -40) top = y + 16;
    tip.style.left = `${left}px`;
    tip.style.top = `${top}px`;
  };

  // ---- charts ----
  document.querySelectorAll("[data-chart]").forEach((figure) => {
    const chart = data.charts[figure.dataset.chart];
    const svg = figure.querySelector("svg");
    if (!chart.x || !chart.x.length) return;
    const cursor = svg.querySelector(".cursor");
    const tip = figure.appendChild(make("div", undefined, "tip"));
    tip.hidden = true;
    let at = -1;
    const draw = (name, attributes, kind) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
      if (kind) node.setAttribute("class", kind);
      return cursor.appendChild(node);
    };
    const show = (i) => {
      at = Math.max(0, Math.min(chart.x.length - 1, i));
      cursor.replaceChildren();
      tip.replaceChildren(make("b", chart.head[at]));
      draw("line", { x1: chart.x[at], x2: chart.x[at], y1: 10, y2: 190 });
      chart.y.forEach((line, k) => {
        if (line[at] !== null) draw("circle", { cx: chart.x[at], cy: line[at], r: 3.5 }, `dot ${chart.look[k]}`);
        const row = tip.appendChild(make("div"));
        row.append(make("span", chart.rows[k][0]), make("b", chart.rows[k][1][at]));
      });
      const scale = svg.clientWidth / svg.viewBox.baseVal.width;
      const tops = chart.y.map((line) => line[at]).filter((y) => y !== null);
      place(tip, svg.offsetLeft + figure.clientLeft + chart.x[at] * scale + (svg.getBoundingClientRect().left - figure.getBoundingClientRect().left),
        svg.getBoundingClientRect().top - figure.getBoundingClientRect().top + (tops.length ? Math.min(...tops) : 20) * scale, figure);
    };
    const hide = () => { tip.hidden = true; cursor.replaceChildren(); };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      let nearest = 0;
      chart.x.forEach((v, i) => { if (Math.abs(v - x) < Math.abs(chart.x[nearest] - x)) nearest = i; });
      show(nearest);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -1e9, End: 1e9 }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      event.preventDefault();
      show(at + step);
    });
  });

  // ---- the map ----
  const map = data.map;
  if (!map) return;
  const canvas = document.getElementById("map-canvas"), pen = canvas.getContext("2d");
  const tip = document.getElementById("tip"), said = document.getElementById("map-said");
  const legend = document.getElementById("map-legend"), bar = document.getElementById("map-columns");
  const count = map.x.length, radius = count > 8000 ? 2.1 : count > 2500 ? 2.7 : count > 600 ? 3.4 : 4.4;
  map.inText.forEach((row) => {
    const img = document.querySelector(`img[data-row="${row}"]`);
    if (img) map.pictures[row] = img.src;
  });
  let column = null, off = new Set(), zoom = 1, midX = map.side / 2, midY = map.side / 2, chosen = -1, wide = 0, high = 0, waiting = false;

  const scale = () => zoom * (Math.min(wide, high) - 28) / map.side;
  const toX = (i) => (map.x[i] - midX) * scale() + wide / 2;
  const toY = (i) => (map.y[i] - midY) * scale() + high / 2;
  const code = (i) => (column ? column.codes[i] : 0);
  const entry = (c) => (column && column.places[c] !== undefined && c >= 0 ? c : -1);
  const hidden = (i) => off.has(entry(code(i)));

  const stamp = (colour) => {
    const ratio = devicePixelRatio || 1, size = Math.ceil((radius + 1) * 2 * ratio);
    const sheet = document.createElement("canvas");
    sheet.width = sheet.height = size;
    const ink = sheet.getContext("2d");
    ink.fillStyle = colour;
    ink.globalAlpha = 0.82;
    ink.beginPath();
    ink.arc(size / 2, size / 2, radius * ratio, 0, 7);
    ink.fill();
    return sheet;
  };
  const stamps = new Map();
  // The points are drawn once into `layer`; pointing at one of them only copies the layer and adds a ring.
  const layer = document.createElement("canvas"), ink = layer.getContext("2d");
  let drawn = "";
  const points = (ratio) => {
    layer.width = canvas.width;
    layer.height = canvas.height;
    const size = radius + 1, fallback = getComputedStyle(root).getPropertyValue("--main").trim();
    for (let i = 0; i < count; i++) {
      const x = toX(i), y = toY(i);
      if (x < -9 || y < -9 || x > wide + 9 || y > high + 9 || hidden(i)) continue;
      const c = entry(code(i)), colour = column ? (c >= 0 ? column.colours[c] : map.other) : fallback;
      const key = `${colour} ${ratio}`;
      if (!stamps.has(key)) stamps.set(key, stamp(colour));
      ink.drawImage(stamps.get(key), (x - size) * ratio, (y - size) * ratio);
    }
  };
  const paint = () => {
    waiting = false;
    const ratio = devicePixelRatio || 1;
    wide = canvas.clientWidth;
    high = canvas.clientHeight;
    if (!wide) return;
    if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
      canvas.width = Math.round(wide * ratio);
      canvas.height = Math.round(high * ratio);
    }
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    const state = [column && column.name, [...off], zoom, midX, midY, canvas.width, canvas.height, dark()].join();
    if (state !== drawn) points(ratio);
    drawn = state;
    pen.drawImage(layer, 0, 0);
    if (chosen >= 0 && !hidden(chosen)) {
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.strokeStyle = getComputedStyle(root).getPropertyValue("--ink").trim();
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(toX(chosen), toY(chosen), radius + 3, 0, 7);
      pen.stroke();
    }
  };
  const repaint = () => { if (!waiting) { waiting = true; requestAnimationFrame(paint); } };

  const choose = (i, speak) => {
    chosen = i;
    repaint();
    if (i < 0) { tip.hidden = true; return; }
    tip.replaceChildren();
    if (map.pictures[i]) {
      const img = tip.appendChild(make("img", undefined, "small"));
      img.alt = "";
      img.src = map.pictures[i];
      fit(img);
    }
    if (map.texts[i] !== undefined) tip.appendChild(make("p", map.texts[i]));
    const words = [];
    for (const c of map.columns) {
      const name = c.codes[i] >= 0 ? c.names[c.codes[i]] : "unknown";
      const row = tip.appendChild(make("div"));
      row.append(make("span", c.name), make("b", name.replace(/^cluster /, "")));
      words.push(`${c.name} ${name}`);
    }
    const row = tip.appendChild(make("div"));
    row.append(make("span", "item"), make("b", map.ids[i]));
    place(tip, toX(i), toY(i), canvas.parentElement);
    if (speak) said.textContent = `Item ${map.ids[i]}: ${[map.texts[i], ...words].filter(Boolean).join(", ")}`;
  };
  const nearest = (x, y, reach) => {
    let best = -1, least = reach * reach;
    for (let i = 0; i < count; i++) {
      const dx = toX(i) - x, dy = toY(i) - y, far = dx * dx + dy * dy;
      if (far < least && !hidden(i)) { least = far; best = i; }
    }
    return best;
  };
  const zoomBy = (factor, x = wide / 2, y = high / 2) => {
    const before = scale();
    zoom = factor ? Math.max(1, Math.min(60, zoom * factor)) : 1;
    const after = scale();
    if (zoom === 1) midX = midY = map.side / 2;
    else {
      midX += (x - wide / 2) * (1 / before - 1 / after);
      midY += (y - high / 2) * (1 / before - 1 / after);
    }
    canvas.style.touchAction = zoom > 1 ? "none" : "pan-y";
    choose(-1);
  };

  const fingers = new Map();
  let moved = 0, gap = 0;
  const spot = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  canvas.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, spot(event));
    canvas.setPointerCapture(event.pointerId);
    moved = 0;
    gap = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = spot(event), before = fingers.get(event.pointerId);
    if (!before) { if (event.pointerType !== "touch") choose(nearest(x, y, 18)); return; }
    fingers.set(event.pointerId, [x, y]);
    if (fingers.size === 2) {
      const [a, b] = [...fingers.values()], now = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (gap) zoomBy(now / gap, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      gap = now;
      moved = 99;
      return;
    }
    moved += Math.abs(x - before[0]) + Math.abs(y - before[1]);
    if (moved < 5) return;
    canvas.classList.add("moving");
    midX -= (x - before[0]) / scale();
    midY -= (y - before[1]) / scale();
    choose(-1);
  });
  const lift = (event) => {
    if (fingers.delete(event.pointerId) && moved < 5 && event.type === "pointerup") choose(nearest(...spot(event), event.pointerType === "touch" ? 30 : 18));
    canvas.classList.remove("moving");
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") choose(-1); });
  canvas.addEventListener("dblclick", (event) => zoomBy(event.shiftKey ? 0.5 : 2, ...spot(event)));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY / 200), ...spot(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const factor = { "+": 1.6, "=": 1.6, "-": 0.625, "0": 0 }[event.key];
    if (step) {
      let i = chosen;
      for (let turn = 0; turn < count; turn++) { i = (i + step + count) % count; if (!hidden(i)) break; }
      if (!hidden(i)) choose(i, true);
    } else if (factor !== undefined) zoomBy(factor);
    else if (event.key === "Escape") choose(-1);
    else return;
    event.preventDefault();
  });
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => zoomBy(Number(button.dataset.zoom))));

  const toggle = (c, alone, all) => {
    if (alone) off = new Set(off.size === all.length - 1 && !off.has(c) ? [] : all.filter((k) => k !== c));
    else if (off.has(c)) off.delete(c);
    else off.add(c);
    legend.querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", String(!off.has(Number(button.dataset.code)))));
    choose(-1);
  };
  const colourBy = (next) => {
    column = next;
    off = new Set();
    legend.replaceChildren();
    bar.querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.name === (next ? next.name : ""))));
    if (next) {
      const listed = [...next.legend];
      const rest = count - listed.reduce((sum, c) => sum + next.counts[c], 0);
      if (rest > 0) listed.push(-1);
      for (const c of listed) {
        const button = legend.appendChild(make("button"));
        button.type = "button";
        button.dataset.code = c;
        button.setAttribute("aria-pressed", "true");
        const dot = button.appendChild(make("i"));
        dot.style.background = c >= 0 ? next.colours[c] : map.other;
        button.append(make("span", c >= 0 ? next.names[c] : rest === next.unknown ? "unknown" : "others"), make("em", (c >= 0 ? next.counts[c] : rest).toLocaleString("en")));
        button.addEventListener("click", () => toggle(c, false, listed));
        button.addEventListener("dblclick", () => toggle(c, true, listed));
      }
    }
    choose(-1);
  };
  for (const c of map.columns) {
    c.places = {};
    c.legend.forEach((k, i) => { c.places[k] = i; });
    const button = bar.appendChild(make("button", c.name[0].toUpperCase() + c.name.slice(1)));
    button.type = "button";
    button.dataset.name = c.name;
    button.addEventListener("click", () => colourBy(c));
  }
  if (!map.columns.length) legend.hidden = true;
  document.querySelectorAll("[data-group]").forEach((button) => button.addEventListener("click", () => {
    const clusters = map.columns.find((c) => c.name === "cluster"), wanted = Number(button.dataset.group);
    if (!clusters) return;
    colourBy(clusters);
    const listed = [...legend.querySelectorAll("button")].map((b) => Number(b.dataset.code));
    toggle(entry(wanted), true, listed);
    document.getElementById("map").scrollIntoView();
    canvas.focus({ preventScroll: true });
  }));
  colourBy(map.columns[0] || null);
  new ResizeObserver(repaint).observe(canvas);
  addEventListener("themechange", repaint);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
})();
