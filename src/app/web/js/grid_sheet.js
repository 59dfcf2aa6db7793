// A grid as one picture: labels above and at the left, pictures at their size, smaller where that would be too large.

const kMostSide = 8192, kPad = 8;

// `columns` and `rows` are labels, `cells[y][x]` an <img> that is loaded, or a text. Returns {blob, scale}.
export async function drawSheet({columns, rows, cells}) {
  const images = cells.flat().filter((cell) => cell instanceof HTMLImageElement);
  const side = (name) => Math.max(64, ...images.map((image) => image[name]));
  const scale = Math.min(1, kMostSide / ((side('naturalWidth') + kPad) * (columns.length + 0.5)),
    kMostSide / ((side('naturalHeight') + kPad) * (rows.length + 0.5)));
  const width = Math.round(side('naturalWidth') * scale), height = Math.round(side('naturalHeight') * scale);
  const font = Math.min(Math.max(Math.round(width / 20), 12), 40), line = Math.round(font * 1.3);
  const canvas = document.createElement('canvas'), context = canvas.getContext('2d');
  const face = `${font}px system-ui, sans-serif`;
  context.font = face;

  const heads = columns.map((text) => wrapped(context, text, width));
  const top = Math.max(...heads.map((lines) => lines.length)) * line + 2 * kPad;
  const names = rows.map((text) => wrapped(context, text, Math.max(width / 2, 160)));
  const left = rows.every((text) => text === '') ? kPad :
    Math.ceil(Math.max(...names.flat().map((text) => context.measureText(text).width))) + 2 * kPad;
  canvas.width = left + columns.length * (width + kPad);
  canvas.height = top + rows.length * (height + kPad);
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.font = face;  // a new size forgets it
  context.fillStyle = '#111';
  context.textBaseline = 'middle';

  const write = (lines, x, middle, align) => {
    context.textAlign = align;
    lines.forEach((text, i) => context.fillText(text, x, middle + (i - (lines.length - 1) / 2) * line));
  };
  heads.forEach((lines, x) => write(lines, left + x * (width + kPad) + width / 2, top / 2, 'center'));
  names.forEach((lines, y) => write(lines, left - kPad, top + y * (height + kPad) + height / 2, 'right'));
  cells.forEach((row, y) => row.forEach((cell, x) => {
    const atX = left + x * (width + kPad), atY = top + y * (height + kPad);
    if (cell instanceof HTMLImageElement) {
      const w = cell.naturalWidth * scale, h = cell.naturalHeight * scale;
      context.drawImage(cell, atX + (width - w) / 2, atY + (height - h) / 2, w, h);
    } else {
      context.strokeStyle = '#999';
      context.strokeRect(atX + 0.5, atY + 0.5, width - 1, height - 1);
      write(wrapped(context, cell, width - 2 * kPad), atX + width / 2, atY + height / 2, 'center');
    }
  }));
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (!blob) {
    throw new Error(`A sheet of ${canvas.width} × ${canvas.height} pixels is more than this browser can write.`);
  }
  return {blob, scale};
}

// Broken between words, or within one that is too long; four lines at most.
function wrapped(context, text, width) {
  const lines = [''];
  for (const word of String(text).split(/\s+/)) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (context.measureText(longer).width <= width) {
      lines[lines.length - 1] = longer;
      continue;
    }
    if (lines.at(-1)) lines.push('');
    for (const letter of word) {
      if (context.measureText(lines.at(-1) + letter).width > width && lines.at(-1)) lines.push('');
      lines[lines.length - 1] += letter;
    }
  }
  return lines.length <= 4 ? lines : [...lines.slice(0, 3), `${lines[3].slice(0, -1)}…`];
}
