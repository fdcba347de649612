/** Scores come in 255ths, and the server compares them as such, too. */
export const leastScore = (level) => level / 255;

export const levelText = (level) => (level / 255).toFixed(2);

/** The lowest level that any cell has, of a histogram of 256 levels a class. */
export function lowestLevel(histogram) {
  let lowest = 255;
  for (let i = 0; i < histogram.length; i++) {
    if (histogram[i] && (i & 255) < lowest) lowest = i & 255;
  }
  return lowest;
}

/** How many cells of a class have the level or more. */
export function countFrom(histogram, label, level) {
  let count = 0;
  for (let k = level; k < 256; k++) count += histogram[256 * label + k];
  return count;
}
