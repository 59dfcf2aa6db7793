// The editor's keys. Fields for text and numbers keep theirs.

export function listenToKeys(dialog, stage, editor) {
  const typing = (target) => target.matches('input:not([type=range]), textarea, select');
  const plain = {
    b: () => editor.setTool('brush'),
    e: () => editor.setTool('eraser'),
    h: () => editor.setTool('move'),
    '[': () => editor.setSize(Math.min(editor.size - 1, Math.round(editor.size / 1.15))),
    ']': () => editor.setSize(Math.max(editor.size + 1, Math.round(editor.size * 1.15))),
    '+': () => editor.zoom(1.25),
    '=': () => editor.zoom(1.25),
    '-': () => editor.zoom(1 / 1.25),
    '−': () => editor.zoom(1 / 1.25),
    0: () => editor.fit(),
  };
  const arrows = {ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40]};

  const find = (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.altKey) return event.key === '[' || event.key === ']' ? plain[event.key] : null;  // typed with AltGr
    if (event.ctrlKey || event.metaKey) {
      if (key === 'Enter') return () => editor.done();
      // A number field undoes what was typed there.
      if (typing(event.target)) return null;
      if (key === 'z') return event.shiftKey ? () => editor.redo() : () => editor.undo();
      return key === 'y' ? () => editor.redo() : null;
    }
    if (typing(event.target)) return null;
    if (event.target === stage && arrows[key]) return () => editor.move(...arrows[key]);
    return plain[key];
  };

  dialog.addEventListener('keydown', (event) => {
    if (event.key === ' ' && !typing(event.target)) {
      editor.space = true;
      stage.classList.add('is-movable');
      if (event.target === stage) event.preventDefault();
      return;
    }
    const call = find(event);
    if (!call) return;
    event.preventDefault();
    call();
  });
  const release = (event) => {
    if (event.key !== ' ') return;
    if (editor.space && editor.moved) event.preventDefault();  // it moved the picture: no click on a button
    editor.space = editor.moved = false;
    stage.classList.remove('is-movable');
  };
  dialog.addEventListener('keyup', release);
  const lost = () => release({key: ' ', preventDefault() {}});
  addEventListener('blur', lost);
  return () => removeEventListener('blur', lost);
}
