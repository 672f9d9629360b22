/** It brings no types; what is used of it is declared in authorization-server.ts. */
declare module 'oidc-provider';
