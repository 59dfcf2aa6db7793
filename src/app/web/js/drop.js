// Pictures dropped anywhere on the page, or pasted into it.

// `restore(file)` for those that land anywhere, `begin(file)` on the picture to begin from, `hint(index, file)` on a hint.
export function listenToDrops({restore, begin, hint}) {
  const overlay = document.getElementById('drop-overlay'), text = overlay.firstElementChild;
  const hasFiles = (event) => [...event.dataTransfer?.types ?? []].includes('Files');
  const targetOf = (event) => {
    const under = document.elementsFromPoint(event.clientX, event.clientY);
    const item = under.map((one) => one.closest('.hint-item')).find(Boolean);
    if (item) return {element: item, text: 'Drop it: it is the hint’s picture', take: (file) =>
      hint([...document.querySelectorAll('.hint-item')].indexOf(item), file)};
    const section = under.map((one) => one.closest('.begin')).find(Boolean);
    if (section) return {element: section, text: 'Drop it: the drawing begins from it', take: begin};
    return {element: null, text: 'Drop it: its settings are restored', take: restore};
  };
  let hide = 0;
  document.addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
    text.textContent = targetOf(event).text;
    overlay.hidden = false;
    clearTimeout(hide);
    hide = setTimeout(() => { overlay.hidden = true; }, 300);  // there is no reliable event for leaving
  });
  document.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    overlay.hidden = true;
    const [file] = event.dataTransfer.files;
    if (file) targetOf(event).take(file);
  });
  document.addEventListener('paste', (event) => {
    const file = [...event.clipboardData?.files ?? []].find(({type}) => type.startsWith('image/'));
    if (!file || document.querySelector('dialog[open]')) return;
    event.preventDefault();
    restore(file);
  });
}
