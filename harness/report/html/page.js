"use strict";
// What a page adds where scripts run: values under the pointer, and designs that can be switched off. Without it all is there.
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  const near = (spots, x, y, box) => {
    let best = null, least = 48 * 48;
    for (const one of spots) {
      const dx = (one.x - x) * box.width, dy = one.group ? 0 : (one.y - y) * box.height;
      const far = dx * dx + dy * dy;
      if (far < least) { least = far; best = one; }
    }
    return best;
  };

  for (const chart of document.querySelectorAll(".chart")) {
    const spots = JSON.parse(chart.querySelector("script").textContent);
    const svg = chart.querySelector("svg"), line = chart.querySelector(".cursor");
    const leave = () => { tip.hidden = true; line.hidden = true; };
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const found = near(spots, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, box);
      if (!found) { leave(); return; }
      const together = found.group ? spots.filter((one) => one.group === found.group && one.text) : [found];
      tip.textContent = [found.group, ...together.map((one) => one.text)].filter(Boolean).join("\n");
      tip.hidden = false;
      const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
      tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, room))}px`;
      tip.style.top = `${Math.max(4, event.clientY - tip.offsetHeight - 12)}px`;
      line.hidden = !found.group;
      line.style.left = `${100 * found.x}%`;
    });
  }

  const switches = document.querySelector(".switches");
  if (!switches) return;
  switches.hidden = false;
  for (const button of switches.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      const mine = new RegExp(`^[a-z]+-d${button.dataset.design}\\.`);
      for (const part of document.querySelectorAll("svg [id]")) {
        if (mine.test(part.id)) part.style.display = on ? "" : "none";
      }
      for (const row of document.querySelectorAll(`tr[data-design="${button.dataset.design}"]`)) {
        row.classList.toggle("off", !on);
      }
    });
  }
})();
