// Keeps the first page live, and says when it no longer is. Everything works without this script, too.
"use strict";

const SILENT_MS = 9000;
const RETRY_MS = 3000;

// Makes one element like another, changing only what differs: focus, selection and clicks under way stay.
function become(now, wanted) {
  for (const { name } of [...now.attributes]) if (!wanted.hasAttribute(name)) now.removeAttribute(name);
  for (const { name, value } of wanted.attributes) if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  becomeInside(now, wanted);
}

function becomeInside(now, wanted) {
  const have = [...now.childNodes];
  const want = [...wanted.childNodes];
  want.forEach((node, place) => {
    const old = have[place];
    if (!old) now.append(node);
    else if (old.nodeType !== node.nodeType || old.nodeName !== node.nodeName) old.replaceWith(node);
    else if (node.nodeType === Node.ELEMENT_NODE) become(old, node);
    else if (old.data !== node.data) old.data = node.data;
  });
  have.slice(want.length).forEach((node) => node.remove());
}

function parsed(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  return holder.content;
}

function watch(page) {
  const banner = document.getElementById("lost");
  let heardAt = new Date();
  let source;

  function show(event) {
    const { clock, sections } = JSON.parse(event.data);
    for (const [name, html] of Object.entries(sections)) {
      const element = document.getElementById(name);
      if (element) becomeInside(element, parsed(html));
    }
    for (const element of page.querySelectorAll(".clock")) becomeInside(element, parsed(clock));
    heard();
  }

  function heard() {
    heardAt = new Date();
    if (banner.hidden) return;
    banner.hidden = true;
    banner.textContent = "";
    page.classList.remove("stale");
  }

  function lost() {
    if (!banner.hidden) return;
    const clock = page.querySelector(".clock");
    const time = clock ? clock.textContent : heardAt.toTimeString().slice(0, 8);
    banner.textContent = `${banner.dataset.text} ${time}. ${banner.dataset.more}`;
    banner.hidden = false;
    page.classList.add("stale");
  }

  async function again() {
    try {
      const answer = await fetch("/api/v1/session", { headers: { Accept: "application/json" } });
      if (answer.status === 401 || answer.status === 403) location.reload();
    } catch {
      // The gateway does not answer; the banner says so already.
    }
    open();
  }

  function open() {
    source = new EventSource(page.dataset.live);
    source.addEventListener("page", show);
    source.addEventListener("gone", () => location.reload());
    source.addEventListener("error", () => {
      lost();
      source.close();
      setTimeout(again, RETRY_MS);
    });
  }

  setInterval(() => {
    if (new Date() - heardAt > SILENT_MS) lost();
  }, 1000);
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  open();
}

// One box that ticks all others of a list.
function tickAll(box) {
  const form = box.closest("form");
  box.hidden = false;
  box.addEventListener("change", () => {
    for (const one of form.querySelectorAll("input[name=ids]")) one.checked = box.checked;
  });
}

const live = document.querySelector("[data-live]");
if (live) watch(live);
document.querySelectorAll("input[data-all]").forEach(tickAll);
