/** Numbers as people read them. */
export const whole = (n) => n.toLocaleString('en-US');

/** Up to three digits that count: 0.0123, 12.3, 1,234. */
export function short(n) {
  if (!Number.isFinite(n)) return '–';
  if (Number.isInteger(n)) return whole(n);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(n) || 1)));
  return n.toLocaleString('en-US', { maximumFractionDigits: Math.min(digits, 4) });
}

export const percent = (part, all) =>
  all ? `${((100 * part) / all).toFixed(part && part < all / 10 ? 1 : 0)} %` : '–';

/** A length in µm with its unit, or in pixels where the scale is not known. */
export function lengthText(pixels, mpp) {
  if (!mpp) return `${short(pixels)} px`;
  const um = pixels * mpp;
  return um >= 1000 ? `${short(um / 1000)} mm` : `${short(um)} µm`;
}
