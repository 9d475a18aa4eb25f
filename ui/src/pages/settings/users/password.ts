// A password for somebody else: 20 letters and digits that are not mistaken for each other, 100 bits.

/** 32 of them, so that a byte gives each as often as any other. Without l, o, 0 and 1. */
export const ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789";

export function password(): string {
  const letters = [...crypto.getRandomValues(new Uint8Array(20))].map((byte) => ALPHABET[byte % 32]);
  return [0, 5, 10, 15].map((at) => letters.slice(at, at + 5).join("")).join("-");
}
