// To the clipboard, also over plain HTTP, where browsers keep the newer way from pages.

export async function copy(value: string): Promise<boolean> {
  if (window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(value);
      return true;
    } catch {
      // Forbidden: the older way may still work.
    }
  }
  const area = document.createElement("textarea");
  area.value = value;
  area.className = "hidden-text";
  // Inside a dialog where one is open: what lies behind cannot have the focus.
  (document.querySelector("dialog:modal") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
