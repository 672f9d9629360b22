declare module 'hoodiecrow-imap' {
  interface HoodiecrowOptions {
    readonly plugins: readonly string[];
    readonly users: Readonly<Record<string, { readonly password: string }>>;
    readonly storage: Readonly<Record<string, object>>;
  }
  interface HoodiecrowServer {
    readonly server: import('node:net').Server;
    listen(port: number, host: string, ready: () => void): void;
    close(done: () => void): void;
  }
  export default function hoodiecrow(options: HoodiecrowOptions): HoodiecrowServer;
}
