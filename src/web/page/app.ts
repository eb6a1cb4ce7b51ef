/** The page at work: puts form, session, console and panels together. */
import { dropUnused, loadManifest } from "../machine/image-store.ts";
import { diskPath } from "../machine/kept-disk.ts";
import { hasX86MemoryOrder } from "../machine/support.ts";
import { button, byId, element, input, part, showFacts } from "./elements.ts";
import { FiguresPanel } from "./figures-panel.ts";
import { FilesPanel } from "./files-panel.ts";
import { type Running, Session, type SessionState } from "./session.ts";
import { loadSettings, startAsked } from "./settings.ts";
import { StartForm } from "./start-form.ts";
import { Tabs } from "./tabs.ts";
import { TerminalView } from "./terminal-view.ts";
import { bytesText, durationText, endText } from "./text.ts";
import { Theme } from "./theme.ts";

/** Requires: the browser has what machines need. Throws where the site has no images. */
export async function openApp(): Promise<void> {
  const manifest = await loadManifest();
  void dropUnused(manifest);
  const settings = loadSettings();
  const terminal = new TerminalView(part("terminal"), () => button("upload").focus());
  const tabs = new Tabs(byId("panel", HTMLElement));
  const figures = new FiguresPanel();
  const files = new FilesPanel();
  const session = new Session(show);
  const form = new StartForm(manifest, settings, hasX86MemoryOrder(), start);
  const theme = new Theme((dark) => {
    terminal.dark = dark;
    figures.redraw();
  });
  connectButtons();
  show(session.state);
  if (settings.autoStart || startAsked()) start();

  function start(): void {
    const chosen = form.take();
    terminal.screenReader = chosen.screenReader;
    void session.start(
      form.image,
      chosen,
      () => terminal.size,
      () => form.disk.prepare(),
    );
  }

  function show(state: SessionState): void {
    const failed = state.name === "ended" && (state.end.reason === "panic" || state.end.reason === "error");
    document.body.dataset.state = failed ? "failed" : state.name;
    part("status-text").textContent = statusText(state);
    enableButtons(state.name);
    switch (state.name) {
      case "idle":
        part("start-trouble").hidden = state.trouble === undefined;
        part("start-trouble").textContent = state.trouble ?? "";
        void form.disk.refresh();
        button("start").focus();
        break;
      case "loading":
      case "starting":
        showLoading(state);
        break;
      case "running":
        begin(state.machine);
        break;
      case "stopping":
        break;
      case "ended":
        terminal.detach();
        part("ended-title").textContent = endText(state.end);
        part("ended-detail").textContent = state.end.detail;
        button("again").focus();
        break;
    }
  }

  function begin(machine: Running): void {
    const { vm, image, settings: chosen, memoryMib, since } = machine;
    terminal.attach(vm.console, ({ rows, columns }) => vm.resize(rows, columns));
    terminal.focus();
    figures.follow(vm, memoryMib * 2 ** 20);
    files.follow(vm);
    files.open(files.folder);
    const asked =
      chosen.memoryMib === memoryMib ? "" : `; the browser refused ${bytesText(chosen.memoryMib * 2 ** 20)}`;
    showFacts(part("machine-facts"), [
      ["Image", image.title],
      ["Kernel", image.kernelVersion],
      ["Memory", `${bytesText(memoryMib * 2 ** 20)}${asked}`],
      ["Processors", String(chosen.cpus)],
      ["Disk", chosen.disk ? `${diskPath} (/dev/vda)` : "none"],
    ]);
    part("remarks").replaceChildren();
    if (asked) remark(`The machine has ${bytesText(memoryMib * 2 ** 20)} of memory${asked}.`);
    vm.onReport((_, lines) => lines.forEach(remark));
    const clock = setInterval(() => (part("uptime").textContent = durationText(Date.now() - since)), 1000);
    void vm.exited.then(() => clearInterval(clock));
  }

  function connectButtons(): void {
    button("stop").addEventListener("click", () => session.stop());
    button("power-off").addEventListener("click", () => session.powerOff());
    button("cancel").addEventListener("click", () => session.cancel());
    button("again").addEventListener("click", start);
    button("settings").addEventListener("click", () => session.reset());
    button("theme").addEventListener("click", () => theme.toggle());
    button("help").addEventListener("click", () => byId("help-dialog", HTMLDialogElement).showModal());
    button("full-screen").addEventListener("click", () => void toggleFullScreen());
    button("toggle-panel").addEventListener("click", () => {
      const hidden = document.body.classList.toggle("no-panel");
      button("toggle-panel").setAttribute("aria-expanded", String(!hidden));
    });
    button("upload").addEventListener("click", () => input("upload-files").click());
    input("upload-files").addEventListener("change", () => {
      upload([...(input("upload-files").files ?? [])]);
      input("upload-files").value = "";
    });
    button("download").addEventListener("click", () => showFiles());
    part("tab-files").addEventListener("shown", () => files.open(files.folder));
    document.addEventListener("keydown", (event) => {
      if (event.key !== "F6" || event.defaultPrevented) return;
      event.preventDefault();
      terminal.focus();
    });
    acceptDrops();
    addEventListener("beforeunload", (event) => {
      if (session.state.name === "running") event.preventDefault();
    });
  }

  function acceptDrops(): void {
    const screen = part("screen");
    const accepts = (event: DragEvent): boolean =>
      session.state.name === "running" && (event.dataTransfer?.types.includes("Files") ?? false);
    screen.addEventListener("dragover", (event) => {
      // A file dropped beside would replace the page, and with it the machine.
      event.preventDefault();
      screen.classList.toggle("dropping", accepts(event));
    });
    screen.addEventListener("dragleave", () => screen.classList.remove("dropping"));
    screen.addEventListener("drop", (event) => {
      event.preventDefault();
      screen.classList.remove("dropping");
      if (accepts(event)) upload([...(event.dataTransfer?.files ?? [])]);
    });
  }

  function upload(list: File[]): void {
    if (list.length === 0) return;
    showFiles();
    void files.upload(list);
  }

  function showFiles(): void {
    document.body.classList.remove("no-panel");
    button("toggle-panel").setAttribute("aria-expanded", "true");
    tabs.show("tab-files");
  }
}

function statusText(state: SessionState): string {
  switch (state.name) {
    case "idle":
      return "Not running";
    case "loading":
      return "Loading";
    case "starting":
      return "Starting";
    case "running":
      return "Running";
    case "stopping":
      return "Stopping";
    case "ended":
      return state.end.reason === "panic" ? "Panic" : state.end.reason === "error" ? "Failed" : "Ended";
  }
}

function enableButtons(state: SessionState["name"]): void {
  const running = state === "running";
  const alive = running || state === "stopping";
  for (const each of document.querySelectorAll<HTMLButtonElement>(".when-running")) each.disabled = !running;
  for (const each of document.querySelectorAll<HTMLButtonElement>(".when-alive")) each.disabled = !alive;
  if (!alive && state !== "ended") part("uptime").textContent = "";
}

function showLoading(state: Extract<SessionState, { name: "loading" | "starting" }>): void {
  const bar = byId("loading-bar", HTMLProgressElement);
  if (state.name === "starting") {
    part("loading-title").textContent = "Starting";
    part("loading-note").textContent = `${state.image.title}, ${bytesText(state.memoryMib * 2 ** 20)}`;
    bar.removeAttribute("value");
    return;
  }
  part("loading-title").textContent = `Loading ${state.image.title}`;
  const { doneBytes = 0, totalBytes = 0 } = state.progress ?? {};
  part("loading-note").textContent = totalBytes > 0 ? `${bytesText(doneBytes)} of ${bytesText(totalBytes)}` : "";
  if (totalBytes > 0) bar.value = doneBytes / totalBytes;
  else bar.removeAttribute("value");
}

function remark(line: string): void {
  part("remarks").append(element("li", { textContent: line }));
}

async function toggleFullScreen(): Promise<void> {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await document.documentElement.requestFullscreen();
}
