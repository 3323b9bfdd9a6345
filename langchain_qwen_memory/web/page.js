// Speaks the page's language, whatever the browser's own is, and keeps the thread in the address.
Object.defineProperty(navigator, "language", { get: () => "LANGUAGE" });
Object.defineProperty(navigator, "languages", { get: () => ["LANGUAGE"] });
document.documentElement.lang = "LANGUAGE";
window.qwenMemory = {
  at(thread) {
    const query = thread ? `?thread=${encodeURIComponent(thread)}` : "?new";
    history.replaceState(history.state, "", location.pathname + query);
    document.querySelectorAll(".qm-language").forEach((link) => (link.search = query));
  },
};
