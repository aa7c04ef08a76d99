{
  description = "vibectl: an LLM proxy over gRPC, and its client";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      each = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      manifest = builtins.fromJSON (builtins.readFile ./package.json);
    in
    {
      packages = each (pkgs:
        let
          # Both programs are one npm package; each output exposes one of them.
          vibectl = pkgs.buildNpmPackage {
            pname = "vibectl";
            version = manifest.version;
            src = self;
            nodejs = pkgs.nodejs_22;
            npmDeps = pkgs.importNpmLock { npmRoot = self; };
            npmConfigHook = pkgs.importNpmLock.npmConfigHook;
            npmBuildScript = "build";
            meta = {
              description = manifest.description;
              license = pkgs.lib.licenses.asl20;
              mainProgram = "vibectl";
            };
          };
        in
        {
          inherit vibectl;
          default = vibectl;
          vibectl-server = vibectl.overrideAttrs (old: {
            pname = "vibectl-server";
            meta = old.meta // { mainProgram = "vibectl-server"; };
          });
        });

      apps = each (pkgs: {
        vibectl = { type = "app"; program = "${self.packages.${pkgs.stdenv.hostPlatform.system}.vibectl}/bin/vibectl"; };
        vibectl-server = { type = "app"; program = "${self.packages.${pkgs.stdenv.hostPlatform.system}.vibectl}/bin/vibectl-server"; };
      });

      devShells = each (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.nodejs_22
            pkgs.git
            # Another language's client for the interoperability test.
            (pkgs.python3.withPackages (python: [ python.grpcio python.grpcio-tools ]))
            pkgs.protobuf
          ];
        };
      });
    };
}
