/**
 * The page's entry: looks whether machines can run here before anything is loaded that takes that for granted, and says what is
 * missing where they cannot.
 */
import { whatIsMissing } from "../machine/support.ts";
import { element, part } from "./elements.ts";

const missing = whatIsMissing();
if (missing.length > 0) showMissing(missing);
else {
  try {
    const { openApp } = await import("./app.ts");
    await openApp();
  } catch (error) {
    showMissing([`The page could not be loaded: ${(error as Error).message}`]);
  }
}

function showMissing(reasons: readonly string[]): void {
  document.body.dataset.state = "missing";
  part("status-text").textContent = "Cannot run here";
  part("missing").append(...reasons.map((textContent) => element("li", { textContent })));
}
