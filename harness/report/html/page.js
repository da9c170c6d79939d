"use strict";
// Values under the pointer, buttons that switch designs off, and links that open what they lead to.
// The page is complete without them.
(() => {
  const addHidden = (name) => {
    const element = document.createElement("div");
    element.className = name;
    element.hidden = true;
    document.body.append(element);
    return element;
  };
  const tip = addHidden("tip"), cursor = addHidden("cursor");
  const hidden = new Set();  // the names of the designs that are switched off

  const findNearest = (tooltips, part, x, y, box) => {
    const [left, top, width, height] = part;
    let nearest = null, least = 48 * 48;
    for (const tooltip of tooltips) {
      const dx = (tooltip.x - x) * box.width / width;
      const dy = tooltip.group ? 0 : (tooltip.y - y) * box.height / height;
      const distance = dx * dx + dy * dy;
      const inside = tooltip.x >= left && tooltip.x <= left + width && tooltip.y >= top && tooltip.y <= top + height;
      if (inside && distance < least) { least = distance; nearest = tooltip; }
    }
    return nearest;
  };

  const hide = () => { tip.hidden = true; cursor.hidden = true; };

  for (const chart of document.querySelectorAll(".chart")) {
    const all = JSON.parse(chart.querySelector("script").textContent);
    for (const svg of chart.querySelectorAll("svg[data-part]")) {
      const part = svg.dataset.part.split(" ").map(Number), [left, top, width, height] = part;
      svg.addEventListener("pointerleave", hide);
      svg.addEventListener("pointermove", (event) => {
        const box = svg.getBoundingClientRect(), tooltips = all.filter((tooltip) => !hidden.has(tooltip.design));
        const x = left + width * (event.clientX - box.left) / box.width;
        const y = top + height * (event.clientY - box.top) / box.height;
        const nearest = findNearest(tooltips, part, x, y, box);
        if (!nearest) { hide(); return; }
        const inGroup = (tooltip) => tooltip.group === nearest.group && tooltip.text;
        const shown = nearest.group ? tooltips.filter(inGroup) : [nearest];
        tip.textContent = [nearest.group, ...shown.map((tooltip) => tooltip.text)].filter(Boolean).join("\n");
        tip.hidden = false;
        const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
        tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, room))}px`;
        tip.style.top = `${Math.max(4, event.clientY - tip.offsetHeight - 12)}px`;
        cursor.hidden = !nearest.group;
        cursor.style.left = `${box.left + box.width * (nearest.x - left) / width}px`;
        cursor.style.top = `${box.top}px`;
        cursor.style.height = `${box.height}px`;
      });
    }
  }

  const openTarget = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  window.addEventListener("hashchange", openTarget);
  openTarget();

  const switches = document.querySelector(".switches");
  if (!switches) return;
  switches.hidden = false;
  for (const button of switches.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      hidden[on ? "delete" : "add"](button.textContent);
      const ownParts = new RegExp(`^[a-z]+-d${button.dataset.number}\\.`);
      for (const part of document.querySelectorAll("svg [id]")) {
        if (ownParts.test(part.id)) part.style.display = on ? "" : "none";
      }
      for (const piece of document.querySelectorAll(".piece[data-design]")) {
        if (piece.dataset.design) piece.hidden = hidden.has(piece.dataset.design);
      }
      for (const row of document.querySelectorAll("tr[data-number]")) {
        if (row.dataset.number === button.dataset.number) row.classList.toggle("off", !on);
      }
    });
  }
})();
