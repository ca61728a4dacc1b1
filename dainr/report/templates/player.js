"use strict";
const byId = (id) => document.getElementById(id);
const slider = byId("frame"), label = byId("label"), button = byId("play"), chooser = byId("slice");
const kinds = [...document.querySelectorAll("canvas:not(.motion)")].map((canvas) => canvas.id);
const zoom = byId("zoom"), sprites = {}, listeners = [];
let frame = 0, playing = true, shown = 0;

slider.max = player.frames - 1;
for (const kind of kinds) {
  const canvas = byId(kind);
  canvas.width = player.width;
  canvas.height = player.height;
  canvas.style.aspectRatio = `1 / ${player.aspect}`;
}

function part() {
  return zoom && zoom.checked ? player.slices[shown].zoom : [0, 0, player.width, player.height];
}

function show(index) {
  frame = (index + player.frames) % player.frames;
  const [x, y, width, height] = part();
  for (const kind of kinds) {
    if (!sprites[kind].complete) continue;
    byId(kind).getContext("2d").drawImage(sprites[kind], x, frame * player.height + y, width, height,
      0, 0, player.width, player.height);
  }
  slider.value = frame;
  label.textContent = `frame ${frame} (0 to ${player.frames - 1}), ${player.times[frame].toFixed(3)} s`;
  for (const mark of document.querySelectorAll(".now")) mark.style.left = `${100 * (frame + 0.5) / player.frames}%`;
  for (const listen of listeners) listen();
}

function choose(index) {
  shown = index;
  const data = player.slices[index];
  for (const kind of kinds) {
    sprites[kind] = new Image();
    sprites[kind].onload = () => show(frame);
    sprites[kind].src = data[kind];
    byId(`${kind}-profile`).src = data[`${kind}_profile`];
  }
  mark();
}

function mark() {
  const [x, , width] = part(), left = 100 * (player.slices[shown].column + 0.5 - x) / width;
  for (const line of document.querySelectorAll(".mark")) line.style.left = `${left}%`;
}

function play(on) {
  playing = on && player.frames > 1;
  button.textContent = playing ? "Pause" : "Play";
}

player.slices.forEach((_, index) => chooser.add(new Option(`slice ${index}`, index)));
chooser.hidden = player.slices.length < 2;
chooser.onchange = () => choose(Number(chooser.value));
button.onclick = () => play(!playing);
if (zoom) zoom.onchange = () => { mark(); show(frame); };
slider.oninput = () => { play(false); show(Number(slider.value)); };
document.addEventListener("keydown", (event) => {
  if (event.target !== document.body) return;
  if (event.key === " ") { event.preventDefault(); play(!playing); }
  if (event.key === "ArrowRight") { play(false); show(frame + 1); }
  if (event.key === "ArrowLeft") { play(false); show(frame - 1); }
});
choose(0);
play(true);
setInterval(() => { if (playing) show(frame + 1); }, 1000 / player.rate);
