// One user, or the one to come: role, what they see, their password, and the end of it.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../../../api/client";
import { Link, navigate } from "../../../app/router";
import { Button } from "../../../kit/Button";
import { Icon } from "../../../kit/Icon";
import { EmptyState, ErrorState, Skeleton } from "../../../kit/States";
import { toast } from "../../../kit/Toast";
import { useDraft } from "../../../session/drafts";
import { useSession } from "../../../session/session";
import { queries } from "../../../store/queries";
import { common } from "../../../strings/en/common";
import { settings } from "../../../strings/en/settings";
import { host } from "../../../strings/en/settings_host";
import { useAreas, useCameras } from "../cameras/queries";
import { Confirm } from "../parts/Confirm";
import { ChoiceField, Elsewhere, FlagField, Form, Group, TextField } from "../parts/Form";
import { Once } from "../parts/Once";
import type { Flat } from "../parts/paths";
import { rights, toFlat, type User } from "./form";
import { password } from "./password";
import { USERS, useUsers } from "./Users";

const text = host.users;
const ROLES = ["viewer", "operator", "admin"] as const;

export function UserPage({ name }: { name: string }) {
  const { data, error, refetch } = useUsers();
  const user = data?.users.find((one) => one.name === name);
  const isNew = name === "+";
  return (
    <section>
      <header className="section-head">
        <Link to="/settings/users" className="button quiet icon-only" aria-label={settings.backTo(settings.users)} title={settings.backTo(settings.users)}><Icon name="back" /></Link>
        <h2>{isNew ? text.new : name}</h2>
      </header>
      {error && !data && <ErrorState error={error} again={() => void refetch()} />}
      {!data && !error && <Skeleton className="settings-wait" />}
      {data && !isNew && !user && <EmptyState icon="search" title={text.unknown(name)}><Link to="/settings/users">{settings.backTo(settings.users)}</Link></EmptyState>}
      {data && (isNew || user) && <UserForm user={user ?? null} />}
    </section>
  );
}

function UserForm({ user }: { user: User | null }) {
  const draft = useDraft<Flat>(`user/${user?.name ?? "+"}`, toFlat(user));
  const areas = useAreas().data?.areas ?? [];
  const cameras = useCameras().data?.cameras ?? [];
  const session = useSession();
  const [made, setMade] = useState<{ name: string; password: string } | null>(null);
  const { value } = draft;
  const role = String(value["role"]);
  const isOwn = session.phase === "in" && session.me.user?.name === user?.name;
  const done = (saved: User) => {
    void queries.invalidateQueries({ queryKey: USERS });
    draft.drop();
    if (saved.password !== undefined) setMade({ name: saved.name, password: saved.password });
    else navigate("/settings/users");
  };
  const save = useMutation({
    mutationFn: async (): Promise<User> => {
      const body = { role: role as User["role"], ...rights(value, role) };
      if (user) return ask("PATCH /api/users/{user}", { path: { user: user.name }, body });
      const own = String(value["password"]);
      return ask("POST /api/users", { body: { ...body, name: String(value["name"]), ...(own === "" ? {} : { password: own }) } });
    },
    onSuccess: (saved) => {
      toast(user ? text.saved(saved.name) : text.created(saved.name));
      done(saved);
    },
  });
  // Areas and cameras that are gone stay in the list while somebody is given them.
  const known = (part: "area" | "camera", names: string[]) => [...new Set([...names, ...Object.keys(value).filter((key) => key.startsWith(`${part}:`) && value[key] === true).map((key) => key.slice(part.length + 1))])];
  const areaNames = known("area", areas.map((one) => one.name));
  const cameraIds = known("camera", cameras.map((one) => one.id));
  const nameOf = (id: string) => cameras.find((one) => one.id === id)?.name || id;
  return (
    <>
      <Form draft={draft} error={save.error} fields={["name", "role", "password"]} disabled={save.isPending} label={user ? user.name : text.new} submit={() => save.mutate()}>
        <Group title={settings.account}>
          {!user && <TextField path="name" label={text.name} hint={text.nameHint} autoComplete="off" spellCheck={false} />}
          <ChoiceField path="role" label={text.role} hint={settings.rolesMay[role] ?? ""} choices={ROLES.map((one) => ({ value: one, label: settings.roles[one] ?? one }))} />
          {!user && <TextField path="password" label={settings.password} hint={text.passwordHint} type="password" autoComplete="new-password" />}
        </Group>
        {role === "admin" ? (
          <p className="dim">{text.adminSees}</p>
        ) : (
          <>
            <Group title={text.areas} hint={text.rightsHint}>
              {areaNames.map((name) => <FlagField key={name} path={`area:${name}`} label={name} />)}
            </Group>
            <Group title={text.cameras}>
              {cameraIds.map((id) => <FlagField key={id} path={`camera:${id}`} label={nameOf(id)} {...(nameOf(id) === id ? {} : { hint: id })} />)}
            </Group>
          </>
        )}
        <Elsewhere />
        <div className="form-acts">
          <Button kind="primary" type="submit" disabled={save.isPending || (user !== null && !draft.isDirty)}>{save.isPending ? settings.saving : user ? common.save : text.create}</Button>
          <Button onClick={() => navigate("/settings/users")}>{common.cancel}</Button>
        </div>
      </Form>
      {user && <Ends user={user} isOwn={isOwn} made={(secret) => setMade({ name: user.name, password: secret })} />}
      {made && (
        <Once
          title={text.passwordOf(made.name)}
          secret={made.password}
          close={() => {
            setMade(null);
            navigate("/settings/users");
          }}
        />
      )}
    </>
  );
}

function Ends({ user, isOwn, made }: { user: User; isOwn: boolean; made: (password: string) => void }) {
  const [asked, setAsked] = useState<"password" | "remove" | null>(null);
  const another = useMutation({
    mutationFn: async () => {
      const secret = password();
      await ask("PATCH /api/users/{user}", { path: { user: user.name }, body: { password: secret } });
      return secret;
    },
    onSuccess: (secret) => {
      setAsked(null);
      made(secret);
    },
  });
  const remove = useMutation({
    mutationFn: () => ask("DELETE /api/users/{user}", { path: { user: user.name } }),
    onSuccess: () => {
      toast(text.removed(user.name));
      void queries.invalidateQueries({ queryKey: USERS });
      navigate("/settings/users");
    },
  });
  const close = () => setAsked(null);
  return (
    <div className="ends">
      {/* One's own is changed under Account, with the password before. */}
      {!isOwn && <Button icon="key" onClick={() => setAsked("password")}>{text.another}</Button>}
      <Button kind="danger" icon="trash" data-act="remove-user" onClick={() => setAsked("remove")}>{text.removeOf}</Button>
      {asked === "password" && <Confirm title={text.anotherTitle(user.name)} act={text.another} busy={another.isPending} error={another.error} close={close} run={() => another.mutate()}><p>{text.anotherHint}</p></Confirm>}
      {asked === "remove" && <Confirm title={text.removeTitle(user.name)} act={text.removeOf} busy={remove.isPending} error={remove.error} close={close} run={() => remove.mutate()}><p>{text.removeHint}</p></Confirm>}
    </div>
  );
}

