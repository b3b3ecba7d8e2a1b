/* Numbers as Python writes them: in specs, messages and sentences. */

/* The exponent as Python prints it, with a sign and at least two digits. */
const printExponent = (power) => `e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;

/**
 * A float as Python's repr prints it.
 * @param {number} value
 * @returns {string}
 */
export function formatFloat(value) {
  if (Object.is(value, -0)) return "-0.0";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : value < 0 ? "-inf" : "nan";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [digits, power] = value.toExponential().split("e");
    return digits + printExponent(Number(power));
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

/**
 * A number as Python's format "g" prints it: six digits, without zeros at the end.
 * @param {number} value
 * @returns {string}
 */
export function formatGeneral(value) {
  if (!Number.isFinite(value)) return formatFloat(value);
  const trim = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  const [digits, exponent] = value.toExponential(5).split("e");
  const power = Number(exponent);
  return power < -4 || power >= 6 ? trim(digits) + printExponent(power) : trim(value.toFixed(5 - power));
}
