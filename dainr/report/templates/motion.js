
const EVERY = 2, LINE = "#ffb454";
const grid = byId("grid"), moved = byId("moved");
const motions = player.motion.map((one) => {
  const picture = new Image();
  picture.onload = () => drawMotion();
  picture.src = one.moved;
  const bytes = Uint8Array.from(atob(one.nodes), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return { ...one, picture, at: (index) => view.getInt16(2 * index, true) / one.steps };
});
for (const canvas of [grid, moved]) {
  canvas.width = Math.max(2 * player.width, Math.round(canvas.clientWidth * window.devicePixelRatio));
  canvas.height = Math.round(canvas.width * player.aspect);
}

function drawMotion() {
  const motion = motions[shown], { rows, columns } = motion, size = rows * columns;
  const image = sprites.fit, width = grid.width, height = grid.height;
  if (motion.picture.complete) {
    moved.getContext("2d").drawImage(motion.picture, 0, frame * rows, columns, rows, 0, 0, width, height);
  }
  if (!image.complete) return;
  const pen = grid.getContext("2d");
  pen.drawImage(image, 0, frame * player.height, player.width, player.height, 0, 0, width, height);
  const place = (row, column) => {
    const node = 2 * frame * size + row * columns + column;
    return [width * ((column + 0.5) / columns + motion.at(node)), height * ((row + 0.5) / rows + motion.at(node + size))];
  };
  pen.strokeStyle = LINE;
  pen.lineWidth = Math.max(1, width / 500);
  pen.globalAlpha = 0.75;
  pen.beginPath();
  for (let row = 0; row < rows; row += EVERY) {
    for (let column = 0; column < columns; column++) pen[column ? "lineTo" : "moveTo"](...place(row, column));
  }
  for (let column = 0; column < columns; column += EVERY) {
    for (let row = 0; row < rows; row++) pen[row ? "lineTo" : "moveTo"](...place(row, column));
  }
  pen.stroke();
  pen.globalAlpha = 1;
}

listeners.push(drawMotion);
drawMotion();
