// Seconds that are left until something may be tried again.
import { useEffect, useState } from "react";

export function left(until: number, now: number): number {
  return Math.max(0, Math.ceil((until - now) / 1000));
}

export function useCountdown(): [number, (seconds: number) => void] {
  const [until, setUntil] = useState(0);
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const look = () => setSeconds(left(until, Date.now()));
    look();
    if (until <= Date.now()) return;
    const timer = setInterval(() => {
      look();
      if (until <= Date.now()) clearInterval(timer);
    }, 250);
    return () => clearInterval(timer);
  }, [until]);
  return [seconds, (more) => {
    setUntil(Date.now() + more * 1000);
    setSeconds(more);
  }];
}
