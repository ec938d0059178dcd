"use strict";
// Live values: texts are written where their key stands; a page whose structure changed is
// fetched anew and its changed parts are exchanged. Without this script the page reloads itself.
(() => {
  const body = document.body;
  const link = document.getElementById("link");
  if (!body.dataset.liveUrl || !window.EventSource) return;
  const shown = new Map();
  const REFRESH_MS = 5000;
  let waiting = false;
  let last = 0;
  let timer = 0;

  const write = (root) => {
    for (const node of root.querySelectorAll("[data-live]")) {
      const text = shown.get(node.dataset.live);
      if (text !== undefined && node.textContent !== text) node.textContent = text;
    }
    for (const attribute of ["width", "x"]) {
      for (const node of root.querySelectorAll(`[data-${attribute}]`)) {
        const text = shown.get(node.dataset[attribute]);
        if (text !== undefined) node.setAttribute(attribute, text);
      }
    }
  };

  const exchange = (fresh) => {
    waiting = false;
    const parts = [...document.querySelectorAll("[data-part]")];
    const others = [...fresh.querySelectorAll("[data-part]")];
    if (parts.map((part) => part.id).join() !== others.map((part) => part.id).join()) {
      location.reload();
      return;
    }
    parts.forEach((part, index) => {
      if (part.contains(document.activeElement) || String(getSelection()) !== "") {
        waiting = true;
        return;
      }
      const other = document.importNode(others[index], true);
      for (const open of part.querySelectorAll("details[open][id]")) {
        const same = other.querySelector(`#${CSS.escape(open.id)}`);
        if (same) same.open = true;
      }
      part.replaceWith(other);
    });
    if (!waiting) body.dataset.structure = fresh.body.dataset.structure;
    write(document);
  };

  const refresh = async () => {
    timer = 0;
    last = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.ok) exchange(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      waiting = true; // the stream's own reconnect tells when the gateway is back
    }
  };

  const soon = () => {
    if (!timer) timer = setTimeout(refresh, Math.max(0, last + REFRESH_MS - Date.now()));
  };

  const lost = () => {
    body.classList.add("lost");
    if (link.textContent === "") link.textContent = link.dataset.lost;
  };

  const source = new EventSource(body.dataset.liveUrl);
  source.addEventListener("values", (event) => {
    body.classList.remove("lost");
    link.textContent = "";
    for (const [key, text] of Object.entries(JSON.parse(event.data))) shown.set(key, text);
    write(document);
  });
  source.addEventListener("structure", (event) => {
    if (event.data !== body.dataset.structure) soon();
  });
  source.addEventListener("failure", lost);
  source.addEventListener("error", lost);
  document.addEventListener("focusout", () => {
    if (waiting) soon();
  });
})();
