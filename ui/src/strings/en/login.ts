export const login = {
  title: "Sign in",
  name: "Name",
  password: "Password",
  enter: "Sign in",
  wrong: (why: string) => `Not signed in: ${why}.`,
  expired: "The session has ended. Sign in to go on where you were.",
  open: "Open to everybody",
};
