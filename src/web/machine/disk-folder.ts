/** Where the browser keeps this site's disks. */
export async function diskFolder(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle("disks", { create: true });
}
