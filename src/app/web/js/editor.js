// The editor of a picture's mask and border, over the whole window: what is painted is drawn anew, the border is drawn
// around the picture.
//
//   openEditor({picture: blob, width, height, onDone(result) {…}, onCancel() {…}});
//
// result = {picture, mask, extend}: the picture as a data URI, unchanged; a PNG of its size as a data URI, white where
// it is drawn anew, black where it stays, or null where nothing was painted; [left, right, top, bottom] in pixels.
// Without a picture a white one of width × height is edited. `mask` and `extend` of an earlier result may be given.
import {ask, button, el, openModal} from './modal.js';
import {listenToKeys} from './editor_keys.js';
import {makeExtend} from './editor_extend.js';
import {History} from './editor_history.js';
import {Mask} from './editor_mask.js';
import {makePanel} from './editor_panel.js';
import {maskUri, openPicture, readMask} from './editor_picture.js';
import {listenToPointers} from './editor_pointer.js';
import {clip} from './editor_rect.js';
import {View} from './editor_view.js';

export async function openEditor({picture, width, height, mask = null, extend = [0, 0, 0, 0], onDone, onCancel}) {
  let result = null, stop = () => {}, changed = () => false;
  const modal = openModal({
    title: 'Mask and border', name: 'editor',
    mayClose: async () => !changed() ||
      await ask(modal, 'Leave without what you have painted?', {stay: 'Go on painting', leave: 'Leave'}) === 'leave',
    onClose() {
      stop();
      if (result) onDone(result);
      else onCancel?.();
    },
  });
  const cancel = button('Cancel', () => modal.tryClose());
  modal.head.append(cancel);
  const opening = el('p', {class: 'm-note', role: 'status'}, 'Opening the picture…');
  modal.body.append(opening);
  try {
    const opened = await openPicture(picture, width, height);
    const given = mask ? await readMask(mask, opened.width, opened.height) : new Mask(opened.width, opened.height);
    if (!modal.dialog.isConnected) return;
    opening.remove();
    const editor = makeEditor(modal, opened, given, extend, (value) => {
      result = value;
      modal.close();
    });
    stop = editor.destroy;
    changed = () => editor.history.past.length > 0;
    const done = button('Done', () => editor.done(), {class: 'primary', title: 'Done (Ctrl+Enter)'});
    cancel.before(done);
  } catch (error) {
    opening.className = 'm-error';
    opening.textContent = error.message;
  }
}

function makeEditor(modal, picture, mask, extend, finish) {
  const ring = el('div', {class: 'ed-ring', hidden: true}), ghostBox = el('div', {class: 'ed-ghost', hidden: true});
  const hint = el('p', {id: 'ed-hint', class: 'm-unseen'}, `Picture of ${picture.width} × ${picture.height} pixels. ` +
    'Paint with a pointer, or add rectangles by numbers under Rectangle. Arrow keys move the picture.');
  const stage = el('div', {class: 'ed-stage', tabindex: 0, role: 'application', 'aria-label': 'Picture with its mask',
    'aria-describedby': hint.id});
  const status = el('p', {class: 'ed-status', role: 'status'});
  const left = el('div', {class: 'ed-left'}, stage, status, hint);
  modal.body.append(left);

  const view = new View(stage, picture, mask), history = new History();
  let ghost = null, value = 1, pointers = null, busy = false;
  const say = (what) => {
    const share = mask.painted / mask.data.length * 100;
    const covered = mask.painted === 0 ? 'Nothing masked.' : `${share < 1 ? 'Under 1' : Math.round(share)} % masked.`;
    status.textContent = `${what} ${covered}`.trim();
  };
  const show = () => panel.show({tool: editor.tool, brush: editor.size, canUndo: history.past.length > 0,
    canRedo: history.future.length > 0});
  const setExtend = (next) => {
    view.extend = next;
    border.update(next);
    view.redraw();
  };
  const free = () => !pointers.drawing() && !busy;

  const editor = {
    history, tool: 'brush', size: Math.max(16, Math.round(Math.min(picture.width, picture.height) / 10)),
    space: false, moved: false,

    setTool(tool) {
      editor.tool = tool;
      stage.dataset.tool = tool;
      show();
      say({brush: 'Brush.', eraser: 'Eraser.', move: 'Move.'}[tool]);
    },
    setSize(size) {
      editor.size = Math.min(Math.max(Math.round(size), 1), Math.max(picture.width, picture.height, 64));
      pointers.sized();
      show();
    },
    zoom: (factor) => view.zoom(factor),
    fit: () => view.fit(),
    move: (dx, dy) => view.move(dx, dy),

    strokeBegin(erase) {
      value = erase ? 0 : 1;
      mask.begin();
    },
    strokeTo: (from, to) => view.redrawMask(mask.segment(...from, ...to, editor.size / 2, value)),
    strokeEnd: () => keep(value ? 'Painted.' : 'Erased.'),
    strokeRevert: () => view.redrawMask(mask.revert()),

    clear: () => change('Cleared.', () => mask.rectangle({x: 0, y: 0, w: mask.width, h: mask.height}, 0)),
    invert: () => change('Inverted.', () => mask.invert()),
    rectangle(rect, to) {
      const inside = clip(rect, mask.width, mask.height);
      if (!inside) return say('That rectangle has no pixel of the picture.');
      change(`${to ? 'Added' : 'Taken away'}: ${inside.w} × ${inside.h} pixels.`, () => mask.rectangle(inside, to));
    },
    undo() {
      if (!free()) return;
      const was = history.undo();
      show();
      say(was ? 'Undone.' : 'There is nothing to undo.');
    },
    redo() {
      if (!free()) return;
      const was = history.redo();
      show();
      say(was ? 'Done again.' : 'There is nothing to redo.');
    },
    async done() {
      if (!free()) return;
      busy = true;
      say('Writing the mask…');
      try {
        finish({picture: picture.uri, mask: await maskUri(mask), extend: [...view.extend]});
      } catch (error) {
        busy = false;
        say(error.message);
      }
    },
    destroy() {
      view.destroy();
      unlisten();
    },
  };

  function keep(what) {
    const done = mask.end();
    if (done) history.push({bytes: done.bytes, apply: () => view.redrawMask(mask.swap(done))});
    show();
    say(what);
  }
  function change(what, call) {
    if (!free()) return;
    mask.begin();
    view.redrawMask(call());
    keep(what);
  }

  const border = makeExtend(view, {
    set: setExtend,
    commit(before, after) {
      if (before.every((pixels, i) => pixels === after[i])) return;
      let other = before;
      history.push({bytes: 64, apply() {
        const now = view.extend;
        setExtend(other);
        other = now;
      }});
      const {x, y, w, h} = view.outer(), s = view.scale;
      if (x * s + view.x < 0 || y * s + view.y < 0 || (x + w) * s + view.x > view.width ||
          (y + h) * s + view.y > view.height) view.fit();
      show();
      say(`Result: ${w} × ${h} pixels.`);
    },
  });
  const panel = makePanel(editor, {width: picture.width, height: picture.height, extendFields: border.fields,
    ghost(rect) {
      ghost = rect;
      ghostBox.hidden = !rect;
      if (rect) view.place(ghostBox, rect);
    }});
  view.onMove = () => {
    border.place();
    panel.showZoom(view.scale);
    if (ghost) view.place(ghostBox, ghost);
  };
  stage.append(ghostBox, ring, ...border.handles);
  modal.body.append(panel.panel);
  pointers = listenToPointers(stage, view, editor, ring);
  const unlisten = listenToKeys(modal.dialog, stage, editor);
  setExtend([...extend]);
  view.fit();
  editor.setTool('brush');
  stage.focus();
  return editor;
}
