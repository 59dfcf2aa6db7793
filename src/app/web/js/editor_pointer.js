// Mouse, pen and fingers on the editor's stage: one paints (or moves, as the tool says), two fingers zoom and move, the
// middle button or Space moves, the wheel zooms. The other end of a pen erases.
//
// `editor` has: tool ('brush', 'eraser', 'move'), size, space, moved, strokeBegin(erase), strokeTo(from, to),
// strokeEnd(), strokeRevert().

const kEraserButton = 32;
const kShort = 24;  // CSS pixels: a stroke up to this long was meant as the first finger of two

export function listenToPointers(stage, view, editor, ring) {
  const fingers = new Map();  // pointer id -> [x, y], those that are down on the stage
  let stroke = null;          // {id, type, at: point of the picture, length}
  let pan = null;             // pointer id
  let last = null;            // event over the stage

  const place = (event) => [event.clientX, event.clientY];

  const showRing = (event) => {
    last = event;
    const box = stage.getBoundingClientRect(), radius = editor.size / 2 * view.scale;
    ring.hidden = editor.tool === 'move' || editor.space || pan !== null || event.pointerType === 'touch';
    ring.style.width = ring.style.height = `${2 * radius}px`;
    ring.style.transform = `translate(${event.clientX - box.left - radius}px, ${event.clientY - box.top - radius}px)`;
  };

  const draw = (event) => {
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length > 0 ? events : [event]) {
      const to = view.toPicture(one.clientX, one.clientY);
      stroke.length += Math.hypot(to[0] - stroke.at[0], to[1] - stroke.at[1]) * view.scale;
      editor.strokeTo(stroke.at, to);
      stroke.at = to;
    }
  };

  const endStroke = (keep) => {
    if (!stroke) return;
    stroke = null;
    if (keep) editor.strokeEnd();
    else editor.strokeRevert();
  };

  // Two fingers: what was under each stays under it.
  const pinch = (event) => {
    const old = [...fingers.values()];
    fingers.set(event.pointerId, place(event));
    const now = [...fingers.values()], box = stage.getBoundingClientRect();
    const middle = (p) => [(p[0][0] + p[1][0]) / 2, (p[0][1] + p[1][1]) / 2];
    const apart = (p) => Math.max(Math.hypot(p[0][0] - p[1][0], p[0][1] - p[1][1]), 1);
    const [x, y] = middle(now), [oldX, oldY] = middle(old);
    view.move(x - oldX, y - oldY);
    view.zoom(apart(now) / apart(old), x - box.left, y - box.top);
  };

  stage.addEventListener('pointerdown', (event) => {
    if (event.target.closest('button')) return;  // a handle
    stage.focus({preventScroll: true});
    if (event.pointerType === 'touch') {
      if (stroke && stroke.type === 'pen') return;  // the hand that holds it
      fingers.set(event.pointerId, place(event));
      if (fingers.size > 1) return endStroke(stroke && stroke.length > kShort);
    }
    stage.setPointerCapture(event.pointerId);
    if (event.button === 1 || editor.space || editor.tool === 'move') {
      event.preventDefault();
      fingers.set(event.pointerId, place(event));
      pan = event.pointerId;
      stage.classList.add('is-panning');
    } else if ((event.button === 0 || event.button === 5) && !stroke) {
      const at = view.toPicture(...place(event));
      stroke = {id: event.pointerId, type: event.pointerType, at, length: 0};
      editor.strokeBegin(editor.tool === 'eraser' || (event.buttons & kEraserButton) !== 0);
      editor.strokeTo(at, at);
    }
    showRing(event);
  });

  stage.addEventListener('pointermove', (event) => {
    showRing(event);
    if (stroke && stroke.id === event.pointerId) return draw(event);
    if (!fingers.has(event.pointerId)) return;
    if (fingers.size === 2) return pinch(event);
    const [x, y] = fingers.get(event.pointerId);
    fingers.set(event.pointerId, place(event));
    if (pan === event.pointerId) {
      editor.moved = true;
      view.move(event.clientX - x, event.clientY - y);
    }
  });

  const up = (event) => {
    fingers.delete(event.pointerId);
    if (stroke && stroke.id === event.pointerId) endStroke(event.type === 'pointerup' || stroke.length > kShort);
    if (pan === event.pointerId) {
      pan = null;
      stage.classList.remove('is-panning');
    }
  };
  stage.addEventListener('pointerup', up);
  stage.addEventListener('pointercancel', up);
  stage.addEventListener('lostpointercapture', up);
  stage.addEventListener('pointerleave', () => {
    ring.hidden = true;
    last = null;
  });
  stage.addEventListener('contextmenu', (event) => event.preventDefault());
  stage.addEventListener('wheel', (event) => {
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    const pixels = event.deltaY * [1, 16, 400][event.deltaMode];
    // A pinch on a touchpad comes as a wheel with Ctrl, in small steps.
    const factor = Math.exp(-Math.min(Math.max(pixels, -200), 200) * (event.ctrlKey ? 0.01 : 0.002));
    view.zoom(factor, event.clientX - box.left, event.clientY - box.top);
    showRing(event);
  }, {passive: false});

  return {drawing: () => stroke !== null, sized: () => last && showRing(last)};
}
