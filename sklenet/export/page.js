// The page: drawing, pictures and the camera, and the prediction of what they show.

const model = JSON.parse(document.getElementById("model").textContent);
const network = makeNetwork(model, decodeWeights(document.getElementById("weights").textContent));
const [imageHeight, imageWidth, channels] = model.imageShape;
const element = (id) => document.getElementById(id);
const board = element("board"), boardContext = board.getContext("2d");
const seen = element("seen").getContext("2d");

const BOARD_SIDE = 448; // pixels of the longer side
const CAMERA_INTERVAL = 80; // milliseconds between two pictures
const MAX_BARS = 10;
const REDUCING_GAP = 3; // of sklenet/_pillow.py

const longest = Math.max(imageHeight, imageWidth);
const isSmall = longest < 16; // as of scikit-learn's digits, which fill their images
board.width = Math.max(BOARD_SIDE / 8, Math.round((BOARD_SIDE * imageWidth) / longest));
board.height = Math.max(BOARD_SIDE / 8, Math.round((BOARD_SIDE * imageHeight) / longest));
board.style.setProperty("--ratio", board.width / board.height);
const penWidth = (isSmall ? 0.12 : 0.085) * Math.min(board.width, board.height);

const drawing = makeCanvas(board.width, board.height);
let hasInk = false, picture = null, stream = null, video = null;
let request = 0; // the number of the last picture, camera, stroke or Clear, which overtakes others
let pen = { x: board.width / 2, y: board.height / 2, isShown: false };
let isScheduled = false;

function makeCanvas(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

function contextOf(canvas) {
  return canvas.getContext("2d", { willReadFrequently: true });
}

// Drawing

function clear() {
  const context = contextOf(drawing);
  context.fillStyle = model.background;
  context.fillRect(0, 0, drawing.width, drawing.height);
  hasInk = false;
  picture?.close();
  picture = null;
  request++;
  stopCamera();
  say("");
  schedule();
}

function draw(from, to) {
  if (picture || stream) clear();
  request++;
  const context = contextOf(drawing);
  const isErasing = element("eraser").getAttribute("aria-pressed") === "true";
  const ink = channels === 1 ? model.ink : element("ink").value;
  context.strokeStyle = isErasing ? model.background : ink;
  context.lineWidth = isErasing ? 2 * penWidth : penWidth;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  context.moveTo(from.x, from.y);
  context.lineTo(to.x + 0.01, to.y);
  context.stroke();
  hasInk ||= !isErasing;
  schedule();
}

function positionOf(event) {
  const box = board.getBoundingClientRect();
  return {
    x: ((event.clientX - box.left) / box.width) * board.width,
    y: ((event.clientY - box.top) / box.height) * board.height,
  };
}

// The pointer that draws, and where it was last: other fingers do not draw.
let pointer = null, last = null;
board.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || pointer !== null) return;
  pen.isShown = false;
  [pointer, last] = [event.pointerId, positionOf(event)];
  draw(last, last);
});
// On the window: a line may leave the board and come back.
window.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer) return;
  const events = event.getCoalescedEvents?.() ?? [];
  for (const each of events.length ? events : [event]) {
    const next = positionOf(each);
    draw(last, next);
    last = next;
  }
});
for (const name of ["pointerup", "pointercancel"]) {
  window.addEventListener(name, (event) => {
    if (event.pointerId === pointer) pointer = null;
  });
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let isPenDown = false; // while the space bar is
board.addEventListener("keyup", (event) => {
  if (event.key === " ") isPenDown = false;
});
board.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Delete" || event.key === "Backspace") {
    clear();
  } else if (event.key in STEPS) {
    const [dx, dy] = STEPS[event.key], step = penWidth / 2, before = { ...pen };
    pen.x = Math.min(Math.max(pen.x + dx * step, 0), board.width);
    pen.y = Math.min(Math.max(pen.y + dy * step, 0), board.height);
    pen.isShown = true;
    if (event.shiftKey || isPenDown) draw(before, pen);
    else schedule();
  } else if (event.key === " ") {
    if (event.repeat) return event.preventDefault();
    isPenDown = pen.isShown = true;
    draw(pen, pen);
  } else {
    return;
  }
  event.preventDefault();
});
board.addEventListener("blur", () => {
  pen.isShown = isPenDown = false;
  schedule();
});

// Pictures and the camera

async function show(file) {
  const mine = ++request;
  let loaded;
  try {
    loaded = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    if (mine !== request) return;
    say(`${file.name || "The file"} is not a picture that the browser can read.`);
    return;
  }
  if (mine !== request) return;
  clear();
  picture = loaded;
  element("invert").checked = channels === 1 && hasOtherBackground(asTrained(picture));
  schedule();
}

// Whether the border of a picture is bright and that of the training images dark, or the reverse.
function hasOtherBackground(canvas) {
  const { width, height } = canvas, { data } = contextOf(canvas).getImageData(0, 0, width, height);
  let sum = 0, count = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (x > 0 && y > 0 && x < width - 1 && y < height - 1) continue;
      sum += luma(data, 4 * (y * width + x));
      count++;
    }
  }
  return sum / count > 127 !== luma(hexToBytes(model.background), 0) > 127;
}

function hexToBytes(color) {
  return [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
}

function luma(data, at) {
  return 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
}

async function toggleCamera() {
  if (stream) {
    clear();
    return;
  }
  clear();
  const mine = request, started = document.createElement("video");
  try {
    const opened = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment" },
    });
    if (mine !== request) {
      opened.getTracks().forEach((track) => track.stop());
      return;
    }
    stream = opened;
    started.muted = started.playsInline = true;
    started.srcObject = stream;
    await started.play();
  } catch {
    if (mine !== request) return;
    stopCamera();
    say("The camera cannot be used: there is none, or the browser does not allow it.");
    return;
  }
  if (mine !== request) return;
  video = started;
  element("camera").setAttribute("aria-pressed", "true");
  let isFirst = true;
  const look = () => {
    if (!video) return;
    if (isFirst) element("invert").checked = channels === 1 && hasOtherBackground(asTrained(video));
    isFirst = false;
    schedule();
    setTimeout(look, CAMERA_INTERVAL);
  };
  look();
}

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = video = null;
  element("camera").setAttribute("aria-pressed", "false");
}

element("clear").addEventListener("click", clear);
element("eraser").addEventListener("click", ({ currentTarget }) => {
  const isPressed = currentTarget.getAttribute("aria-pressed") === "true";
  currentTarget.setAttribute("aria-pressed", String(!isPressed));
});
element("camera").addEventListener("click", toggleCamera);
element("file").addEventListener("change", (event) => {
  if (event.target.files.length) show(event.target.files[0]);
  event.target.value = "";
});
for (const name of ["invert", "center"]) element(name).addEventListener("change", schedule);
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) show(event.clipboardData.files[0]);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  board.classList.add("over");
});
document.addEventListener("dragleave", () => board.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  board.classList.remove("over");
  if (event.dataTransfer.files.length) show(event.dataTransfer.files[0]);
});

// From the source to pixels at the size of the training images

function asTrained(source) {
  return fit(source, imageWidth, imageHeight, model.smallestCentered ?? Infinity, resample);
}

// Draw a picture into a canvas: its aspect ratio is kept, and its edges are repeated outwards. A
// picture that fits keeps its size if its sides are not shorter than the smallest.
function fit(source, fullWidth, fullHeight, smallest, resize) {
  let current = source, [width, height] = sizeOf(source);
  const sides = [width, height], isTooLarge = width > fullWidth || height > fullHeight;
  if (isTooLarge || Math.min(...sides) < smallest) {
    const zoom = Math.min(fullWidth / width, fullHeight / height);
    [width, height] = sides.map((side) => Math.max(1, roundToEven(side * zoom)));
    current = resize(source, width, height);
  }
  const result = makeCanvas(fullWidth, fullHeight), context = contextOf(result);
  const left = (fullWidth - width) >> 1, top = (fullHeight - height) >> 1;
  drawOpaque(context, current, left, top, width, height);
  context.imageSmoothingEnabled = false;
  context.drawImage(result, left, top, 1, height, 0, top, left, height);
  const right = left + width, bottom = top + height;
  context.drawImage(result, right - 1, top, 1, height, right, top, fullWidth - right, height);
  context.drawImage(result, 0, top, fullWidth, 1, 0, 0, fullWidth, top);
  context.drawImage(result, 0, bottom - 1, fullWidth, 1, 0, bottom, fullWidth, fullHeight - bottom);
  return result;
}

function sizeOf(source) {
  return [source.videoWidth ?? source.width, source.videoHeight ?? source.height];
}

function roundToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

function drawOpaque(context, source, left, top, width, height) {
  if (model.backdrop) {
    context.fillStyle = model.backdrop;
    context.fillRect(left, top, width, height);
  }
  context.imageSmoothingQuality = "high";
  context.drawImage(source, left, top, width, height);
}

// Resize as the browser does.
function stretch(source, width, height) {
  const canvas = makeCanvas(width, height);
  drawOpaque(contextOf(canvas), source, 0, 0, width, height);
  return canvas;
}

// Resize as Pillow does, so that files are seen as in the training: large pictures are halved
// first, down to a multiple of the size, and then a triangle is the filter.
function resample(source, width, height) {
  let current = source, [fullWidth, fullHeight] = sizeOf(source);
  do {
    current = stretch(current, fullWidth, fullHeight);
    [fullWidth, fullHeight] = [fullWidth, fullHeight].map((side) => Math.ceil(side / 2));
  } while (fullWidth >= REDUCING_GAP * width && fullHeight >= REDUCING_GAP * height);
  const { data } = contextOf(current).getImageData(0, 0, current.width, current.height);
  const columns = resampleAxis(data, current.height, current.width, 4, width);
  const pixels = resampleAxis(columns, 1, current.height, 4 * width, height);
  const result = makeCanvas(width, height);
  contextOf(result).putImageData(new ImageData(pixels, width, height), 0, 0);
  return result;
}

// Resize the middle axis of bytes of the shape (outer, length, inner).
function resampleAxis(bytes, outer, length, inner, newLength) {
  const result = new Uint8ClampedArray(outer * newLength * inner);
  const scale = length / newLength, support = Math.max(1, scale);
  for (let i = 0; i < newLength; i++) {
    const center = (i + 0.5) * scale, shares = [];
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(length, Math.trunc(center + support + 0.5));
    for (let j = start; j < end; j++) {
      shares.push(Math.max(0, 1 - Math.abs(j + 0.5 - center) / support));
    }
    const total = shares.reduce((sum, share) => sum + share, 0);
    for (let o = 0; o < outer; o++) {
      for (let k = 0; k < inner; k++) {
        let sum = 0;
        for (let j = start; j < end; j++) {
          sum += shares[j - start] * bytes[(o * length + j) * inner + k];
        }
        result[(o * newLength + i) * inner + k] = sum / total;
      }
    }
  }
  return result;
}

// Scale what is drawn to the size that it has in the training images, and center it.
function centered(canvas) {
  const { width, height } = canvas, { data } = contextOf(canvas).getImageData(0, 0, width, height);
  const background = hexToBytes(model.background);
  let [left, top, right, bottom] = [width, height, -1, -1];
  let mass = 0, massX = 0, massY = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 4 * (y * width + x);
      const ink = Math.abs(data[at] - background[0]); // gray
      if (ink < 20) continue;
      [left, right] = [Math.min(left, x), Math.max(right, x)];
      [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
      mass += ink;
      massX += ink * (x + 0.5);
      massY += ink * (y + 0.5);
    }
  }
  if (!mass) return canvas;
  const share = isSmall ? 1 : 20 / 28; // of the image, as in MNIST
  const zoom = share * Math.min(width / (right - left + 1), height / (bottom - top + 1));
  // The center of mass, unless a part of the drawing would touch the border of the image.
  const centerOf = (moment, start, end, side) => {
    const half = (side * (1 / 2 - (1 - share) / 8)) / zoom;
    return Math.min(Math.max(moment / mass, end + 1 - half), start + half);
  };
  const x = centerOf(massX, left, right, width), y = centerOf(massY, top, bottom, height);
  const result = makeCanvas(width, height), context = contextOf(result);
  context.fillStyle = model.background;
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.setTransform(zoom, 0, 0, zoom, width / 2 - zoom * x, height / 2 - zoom * y);
  context.drawImage(canvas, 0, 0);
  return result;
}

// Pixels of the shape (height, width, channels), in the units of the training images.
function readPixels() {
  const isDrawn = !picture && !video, isCentered = isDrawn && channels === 1;
  const source = isCentered && element("center").checked ? centered(drawing) : drawing;
  const { data } = contextOf(asTrained(picture || video || source))
    .getImageData(0, 0, imageWidth, imageHeight);
  const isInverted = !isDrawn && element("invert").checked;
  const pixels = new Float64Array(imageHeight * imageWidth * channels);
  for (let i = 0; i < imageHeight * imageWidth; i++) {
    for (let c = 0; c < channels; c++) {
      let value = channels === 1 ? luma(data, 4 * i) : data[4 * i + c];
      if (isInverted && c < 3) value = 255 - value;
      pixels[i * channels + c] = model.low + (value / 255) * (model.high - model.low);
    }
  }
  return pixels;
}

// What is seen and predicted

element("more").hidden = model.classes.length <= MAX_BARS;
element("more").textContent = `The ${MAX_BARS} most probable of ${model.classes.length} classes.`;
const bars = model.classes.slice(0, MAX_BARS).map(() => {
  const item = document.createElement("li");
  item.innerHTML = '<span class="name"></span><span class="bar"><span></span></span><span class="value"></span>';
  element("bars").append(item);
  return item;
});

function say(message) {
  element("message").textContent = message;
}

function schedule() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    update();
  });
}

function update() {
  boardContext.drawImage(drawing, 0, 0);
  if (picture || video) {
    const shown = fit(picture || video, board.width, board.height, Infinity, stretch);
    boardContext.drawImage(shown, 0, 0);
  }
  element("center-label").hidden = channels !== 1 || Boolean(picture || video);
  element("invert-label").hidden = !(picture || video);
  if (pen.isShown) {
    boardContext.lineWidth = 3;
    for (const [color, radius] of [["#000", penWidth / 2 + 2], ["#fff", penWidth / 2 - 1]]) {
      boardContext.strokeStyle = color;
      boardContext.beginPath();
      boardContext.arc(pen.x, pen.y, radius, 0, 7);
      boardContext.stroke();
    }
  }
  const image = network.preprocess(readPixels());
  showSeen(image);
  showPrediction(hasInk || picture || video ? network.probabilities(image) : null);
}

function showSeen(image) {
  const size = model.size, picture = seen.createImageData(size, size);
  for (let i = 0; i < size * size; i++) {
    for (let c = 0; c < 3; c++) {
      const channel = channels === 1 ? 0 : c;
      const value = image[channel * size * size + i] * model.std[channel] + model.mean[channel];
      picture.data[4 * i + c] = (255 * (value - model.low)) / (model.high - model.low || 1);
    }
    picture.data[4 * i + 3] = 255;
  }
  seen.putImageData(picture, 0, 0);
}

function showPrediction(probabilities) {
  const order = model.classes.map((_, index) => index);
  if (probabilities && order.length > MAX_BARS) {
    order.sort((a, b) => probabilities[b] - probabilities[a]);
  }
  bars.forEach((item, position) => {
    const share = probabilities ? probabilities[order[position]] : 0;
    item.children[0].textContent = item.children[0].title = model.classes[order[position]];
    item.children[1].firstChild.style.width = `${100 * share}%`;
    item.children[2].textContent = probabilities ? percent(share) : "";
  });
  const best = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
  const answer = best < 0 ? "–" : model.classes[best] || "(no name)";
  // Only where it changes, so that screen readers do not repeat it.
  if (element("answer").textContent !== answer) element("answer").textContent = answer;
  const certainty = best < 0 ? "The board is empty." : `${percent(probabilities[best])} probable`;
  element("sure").textContent = certainty;
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

element("center").checked = model.isDrawn;
element("ink-label").hidden = channels === 1;
element("ink").value = model.ink;
element("camera").hidden = !navigator.mediaDevices?.getUserMedia;
clear();
