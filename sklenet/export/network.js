"use strict";

// The network in plain JavaScript: pixels -> 32x32 standardized image -> probabilities.
// Images and activations are flat Float32Arrays of channels, rows and columns.

function decodeWeights(text) {
  const letters = atob(text.trim()), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  const view = new DataView(bytes.buffer);
  const weights = new Float32Array(bytes.length / 4);
  for (let i = 0; i < weights.length; i++) weights[i] = view.getFloat32(4 * i, true);
  return weights;
}

function makeNetwork(model, weights) {
  const take = ([start, length]) => weights.subarray(start, start + length);
  const rows = take(model.rows), columns = take(model.columns);
  const layers = model.layers.map((layer) => ({
    ...layer,
    weight: layer.weight && take(layer.weight),
    bias: layer.bias && take(layer.bias),
  }));

  // Pixels of the shape (height, width, channels), in the units of the training images.
  function preprocess(pixels) {
    const [height, width, channels] = model.imageShape, size = model.size;
    const image = new Float32Array(channels * size * size);
    const resized = new Float64Array(size * width);
    for (let c = 0; c < channels; c++) {
      resized.fill(0);
      for (let i = 0; i < size; i++) {
        for (let y = 0; y < height; y++) {
          const share = rows[i * height + y];
          if (share === 0) continue;
          for (let x = 0; x < width; x++) {
            const value = (pixels[(y * width + x) * channels + c] - model.mean[c]) / model.std[c];
            resized[i * width + x] += share * value;
          }
        }
      }
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) {
          let sum = 0;
          for (let x = 0; x < width; x++) sum += columns[j * width + x] * resized[i * width + x];
          image[(c * size + i) * size + j] = sum;
        }
      }
    }
    return image;
  }

  function forward(image) {
    let x = { data: image, channels: model.imageShape[2], height: model.size, width: model.size };
    for (const layer of layers) x = LAYERS[layer.type](layer, x);
    return x.data;
  }

  function probabilities(image) {
    const logits = forward(image);
    const scores = Array.from(logits, (z) => (model.output === "sigmoid" ? logSigmoid(z) : z));
    const highest = Math.max(...scores);
    const exponentials = scores.map((score) => Math.exp(score - highest));
    const total = exponentials.reduce((sum, value) => sum + value, 0);
    return exponentials.map((value) => value / total);
  }

  return { preprocess, forward, probabilities };
}

function logSigmoid(z) {
  return z < 0 ? z - Math.log1p(Math.exp(z)) : -Math.log1p(Math.exp(-z));
}

// A series and a continued fraction (Abramowitz and Stegun, 7.1.6 and 7.1.14).
function erf(x) {
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  if (z < 2.5) {
    let term = z, sum = z;
    for (let n = 1; n < 60; n++) {
      term *= (2 * z * z) / (2 * n + 1);
      sum += term;
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-z * z) * sum;
  }
  let fraction = z;
  for (let n = 60; n > 0; n--) fraction = z + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-z * z) / (fraction * Math.sqrt(Math.PI)));
}

function elementwise(make) {
  return (layer, x) => ({ ...x, data: x.data.map(make(layer)) });
}

function convolve(layer, x) {
  const { data, channels, height, width } = x, { outputs, kernel, weight, bias } = layer;
  const rows = height - kernel + 1, columns = width - kernel + 1, n = rows * columns;
  const result = new Float32Array(outputs * n);
  for (let o = 0; o < outputs; o++) {
    const plane = result.subarray(o * n, (o + 1) * n).fill(bias[o]);
    for (let c = 0; c < channels; c++) {
      for (let dy = 0; dy < kernel; dy++) {
        for (let dx = 0; dx < kernel; dx++) {
          const w = weight[((o * channels + c) * kernel + dy) * kernel + dx];
          for (let i = 0; i < rows; i++) {
            const source = (c * height + i + dy) * width + dx, target = i * columns;
            for (let j = 0; j < columns; j++) plane[target + j] += w * data[source + j];
          }
        }
      }
    }
  }
  return { data: result, channels: outputs, height: rows, width: columns };
}

function pool(reduce) {
  return (layer, { data, channels, height, width }) => {
    const rows = height >> 1, columns = width >> 1;
    const result = new Float32Array(channels * rows * columns);
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          const at = (c * height + 2 * i) * width + 2 * j;
          result[(c * rows + i) * columns + j] =
            reduce(data[at], data[at + 1], data[at + width], data[at + width + 1]);
        }
      }
    }
    return { data: result, channels, height: rows, width: columns };
  };
}

function connect(layer, x) {
  const { outputs, weight, bias } = layer, inputs = x.data.length;
  const result = new Float32Array(outputs);
  for (let o = 0; o < outputs; o++) {
    let sum = bias[o];
    for (let i = 0, at = o * inputs; i < inputs; i++) sum += weight[at + i] * x.data[i];
    result[o] = sum;
  }
  return { data: result, channels: outputs, height: 1, width: 1 };
}

const LAYERS = {
  convolution: convolve,
  linear: connect,
  maximum: pool(Math.max),
  mean: pool((a, b, c, d) => (a + b + c + d) / 4),
  l_relu: elementwise(({ beta }) => (x) => (x > 0 ? Math.log1p(beta * x) : 0)),
  sigmoid: elementwise(() => (x) => 1 / (1 + Math.exp(-x))),
  tanh: elementwise(() => Math.tanh),
  relu: elementwise(() => (x) => Math.max(0, x)),
  leaky_relu: elementwise(({ slope }) => (x) => (x > 0 ? x : slope * x)),
  elu: elementwise(({ alpha }) => (x) => (x > 0 ? x : alpha * Math.expm1(x))),
  gelu: elementwise(() => (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2))),
  silu: elementwise(() => (x) => x / (1 + Math.exp(-x))),
};
