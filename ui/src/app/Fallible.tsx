// Keeps a fault of one page from taking the navigation with it.
import { Component, type ReactNode } from "react";
import { ErrorState } from "../kit/States";
import { common } from "../strings/en/common";

interface Props {
  /** Another place begins anew. */
  place: string;
  children: ReactNode;
}

export class Fallible extends Component<Props, { error: unknown; place: string }> {
  override state = { error: null as unknown, place: this.props.place };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  static getDerivedStateFromProps(props: Props, state: { error: unknown; place: string }) {
    return props.place === state.place ? null : { error: null, place: props.place };
  }

  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    // A file that is gone is one of a build before: the page must be asked for anew.
    const isGone = error instanceof TypeError && /import|module/i.test(error.message);
    return <ErrorState {...(isGone ? { title: common.pageFailed } : {})} error={error} again={() => location.reload()} />;
  }
}
