"use strict";
// Values under the pointer, and buttons that switch designs off. The page is complete without them.
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  const findNearest = (tooltips, x, y, box) => {
    let nearest = null, least = 48 * 48;
    for (const tooltip of tooltips) {
      const dx = (tooltip.x - x) * box.width, dy = tooltip.group ? 0 : (tooltip.y - y) * box.height;
      const distance = dx * dx + dy * dy;
      if (distance < least) { least = distance; nearest = tooltip; }
    }
    return nearest;
  };

  for (const chart of document.querySelectorAll(".chart")) {
    const tooltips = JSON.parse(chart.querySelector("script").textContent);
    const svg = chart.querySelector("svg"), cursor = chart.querySelector(".cursor");
    const hide = () => { tip.hidden = true; cursor.hidden = true; };
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
      const nearest = findNearest(tooltips, x, y, box);
      if (!nearest) { hide(); return; }
      const inGroup = (tooltip) => tooltip.group === nearest.group && tooltip.text;
      const shown = nearest.group ? tooltips.filter(inGroup) : [nearest];
      tip.textContent = [nearest.group, ...shown.map((tooltip) => tooltip.text)].filter(Boolean).join("\n");
      tip.hidden = false;
      const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
      tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, room))}px`;
      tip.style.top = `${Math.max(4, event.clientY - tip.offsetHeight - 12)}px`;
      cursor.hidden = !nearest.group;
      cursor.style.left = `${100 * nearest.x}%`;
    });
  }

  const switches = document.querySelector(".switches");
  if (!switches) return;
  switches.hidden = false;
  for (const button of switches.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      const ownParts = new RegExp(`^[a-z]+-d${button.dataset.design}\\.`);
      for (const part of document.querySelectorAll("svg [id]")) {
        if (ownParts.test(part.id)) part.style.display = on ? "" : "none";
      }
      for (const row of document.querySelectorAll(`tr[data-design="${button.dataset.design}"]`)) {
        row.classList.toggle("off", !on);
      }
    });
  }
})();
