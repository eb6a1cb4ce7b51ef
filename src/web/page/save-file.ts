/** Hands a file to the browser, as if it had been downloaded from somewhere. */
import { element } from "./elements.ts";

export function saveFile(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
