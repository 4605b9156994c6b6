{
  "targets": [
    {
      "target_name": "libbpf_ts",
      "product_name": "libbpf_ts",
      "sources": [
        "src/addon.cc",
        "src/apart.cc",
        "src/args.cc",
        "src/async.cc",
        "src/errors.cc",
        "src/ethtool.cc",
        "src/failure.cc",
        "src/link.cc",
        "src/log.cc",
        "src/map.cc",
        "src/map_batch.cc",
        "src/map_shape.cc",
        "src/netlink.cc",
        "src/netns.cc",
        "src/object.cc",
        "src/object_load.cc",
        "src/offloads.cc",
        "src/program.cc",
        "src/ring.cc",
        "src/test_run.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": ["-std=c++17", "-fexceptions", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-missing-field-initializers"],
      "libraries": ["-lbpf"]
    }
  ]
}
