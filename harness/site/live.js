"use strict";
// Follows a run in progress. The server renders; without this script the page shows the state when it was loaded.
(() => {
  const view = document.getElementById("view"), status = document.getElementById("status");
  const events = new EventSource(view.dataset.events);
  const on = (name, take) => events.addEventListener(name, (event) => take(JSON.parse(event.data)));
  let said = status.textContent;
  on("view", (html) => { view.innerHTML = html; });
  on("status", (text) => { said = status.textContent = text; });
  on("over", (text) => {
    said = status.textContent = text;
    document.getElementById("over").hidden = false;
  });
  events.addEventListener("open", () => { status.textContent = said; });
  events.addEventListener("error", () => { status.textContent = "No connection to harness serve; trying again."; });
})();
