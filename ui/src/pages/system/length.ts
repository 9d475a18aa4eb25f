// Long times as people say them.
import { system as text } from "../../strings/en/system";

const YEAR = 365.25;
/** Nobody plans for longer. */
const YEARS_MAX = 100;

export function lengthOf(days: number): string {
  if (days >= YEARS_MAX * YEAR) return text.longer(YEARS_MAX);
  if (days >= 2 * YEAR) return text.years((days / YEAR).toFixed(days >= 10 * YEAR ? 0 : 1));
  if (days >= 60) return text.months(Math.round(days / (YEAR / 12)));
  if (days >= 1) return text.days(days >= 10 ? Math.round(days) : Math.round(days * 10) / 10);
  return text.hours((days * 24).toFixed(1));
}
