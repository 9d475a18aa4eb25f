export const settings = {
  title: "Settings",
  account: "Account",
  appearance: "Appearance",
  you: "Signed in as",
  role: "Role",
  roles: { viewer: "Viewer: looks", operator: "Operator: looks, judges, pins and shares", admin: "Admin: everything" } as Record<string, string>,
  noAuth: "Nobody has to sign in on this host.",
  signOut: "Sign out",
  zone: "Times are shown in",
  sections: "Sections of the settings",
};
