/**
 * Our own messages on the connection. They go by method name: vscode-languageserver brings its own copy of the protocol
 * package and compares parts of the type objects by identity.
 */
import type { CancellationToken, Connection } from 'vscode-languageserver/node';

interface RequestSignature<P, R> {
  readonly method: string;
  readonly _: readonly [P, R, ...unknown[]] | undefined;
}
interface RequestSignature0<R> {
  readonly method: string;
  readonly _: readonly [R, ...unknown[]] | undefined;
}
interface NotificationSignature<P> {
  readonly method: string;
  readonly _: readonly [P, ...unknown[]] | undefined;
}

export function onRequest<P, R>(
  connection: Connection,
  type: RequestSignature<P, R>,
  handler: (params: P, token: CancellationToken) => Promise<R>,
): void {
  connection.onRequest(type.method, handler);
}

export function onRequest0<R>(connection: Connection, type: RequestSignature0<R>, handler: () => Promise<R>): void {
  connection.onRequest(type.method, () => handler());
}

export function onNotification<P>(
  connection: Connection,
  type: NotificationSignature<P>,
  handler: (params: P) => void,
): void {
  connection.onNotification(type.method, handler);
}

export function notify<P>(connection: Connection, type: NotificationSignature<P>, params: P): void {
  // A connection that is going away takes its notifications with it.
  connection.sendNotification(type.method, params).catch(() => {});
}
