// Zoom, and a reading under the pointer, for the drawings of a page. Every drawing works without.
"use strict";
(() => {
  const library = document.currentScript.dataset.library;
  const MOST = 40, STEP = 1.5;
  let asked = null;

  function d3() {
    asked ??= new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = library;
      script.onload = () => done(window.d3);
      script.onerror = failed;
      document.head.append(script);
    });
    return asked;
  }

  // What the drawing says nearest to the pointer: its parts carry titles.
  function reading(drawing, x) {
    let best = null, least = Infinity;
    for (const part of drawing.querySelectorAll("rect > title")) {
      const box = part.parentNode, left = +box.getAttribute("x"), width = +box.getAttribute("width");
      const away = Math.max(left - x, x - left - width, 0) + width / 1e4;
      if (away < least) [best, least] = [part.textContent, away];
    }
    return best;
  }

  function enhance(lib, drawing) {
    const [, , wide, tall] = drawing.getAttribute("viewBox").split(" ").map(Number);
    const holder = document.createElement("div"), said = document.createElement("div");
    holder.className = "zoomed";
    said.className = "reading";
    said.hidden = true;
    // What has the focus loses it when it is moved.
    const kept = drawing.contains(document.activeElement) ? document.activeElement : null;
    drawing.replaceWith(holder);
    holder.append(drawing);
    kept?.focus({ preventScroll: true });
    document.body.append(said);
    let active = false;

    const zoom = lib.behavior.zoom().scaleExtent([1, MOST]).on("zoom", () => {
      const size = drawing.getBoundingClientRect(), k = zoom.scale();
      const at = zoom.translate().map((part, n) =>
        Math.max(Math.min(part, 0), (n ? size.height : size.width) * (1 - k)));
      zoom.translate(at);
      const unit = wide / size.width;
      drawing.setAttribute("viewBox", `${-at[0] * unit / k} ${-at[1] * unit / k} ${wide / k} ${tall / k}`);
    });
    // A page scrolls under the pointer until the drawing was chosen by a click.
    holder.addEventListener("wheel", event => {
      if (!active && !event.ctrlKey) event.stopImmediatePropagation();
    }, { capture: true });
    const selection = lib.select(holder).call(zoom).on("dblclick.zoom", null);

    function scaled(k) {
      const size = drawing.getBoundingClientRect(), before = zoom.scale();
      const after = Math.max(1, Math.min(MOST, k)), middle = [size.width / 2, size.height / 2];
      const at = zoom.translate().map((part, n) => middle[n] - (middle[n] - part) * after / before);
      zoom.scale(after).translate(at).event(selection);
    }
    function moved(x) {
      const at = zoom.translate();
      zoom.translate([at[0] + x, at[1]]).event(selection);
    }
    const size = () => drawing.getBoundingClientRect().width / 4;
    const keys = {
      "+": () => scaled(zoom.scale() * STEP), "-": () => scaled(zoom.scale() / STEP), "0": () => scaled(1),
      "ArrowLeft": () => moved(size()), "ArrowRight": () => moved(-size()),
    };

    holder.addEventListener("mousedown", () => { active = true; });
    holder.addEventListener("dblclick", () => scaled(1));
    holder.addEventListener("pointerleave", () => { active = false; said.hidden = true; });
    holder.addEventListener("pointermove", event => {
      const text = event.pointerType === "mouse" && reading(drawing, point(drawing, event));
      said.hidden = !text;
      if (!text) return;
      said.textContent = text;
      const room = document.documentElement.clientWidth - said.offsetWidth - 8;
      said.style.left = `${Math.max(8, Math.min(event.clientX + 12, room))}px`;
      said.style.top = `${event.clientY + 16}px`;
    });
    const focused = holder.closest("[tabindex]");
    if (focused) focused.addEventListener("keydown", event => {
      const act = keys[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key.startsWith("Arrow") && zoom.scale() === 1) return;
      event.preventDefault();
      act();
    });
  }

  function point(drawing, event) {
    return new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse()).x;
  }

  for (const drawing of document.querySelectorAll("svg.timeline, svg.trend, svg.chart")) {
    const start = event => {
      if (event.pointerType && event.pointerType !== "mouse") return;
      drawing.removeEventListener("pointerenter", start);
      d3().then(lib => { if (!drawing.closest(".zoomed")) enhance(lib, drawing); }, () => {});
    };
    drawing.addEventListener("pointerenter", start);
    drawing.closest("[tabindex]")?.addEventListener("focus", start);
  }
})();
