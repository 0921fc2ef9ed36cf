<?php
// Runs before every page (auto_prepend_file): where this blog is for the visitor who asks now. It stands outside the volume
// with WordPress's files, so that a blog which is older than this image has it too.
// - Behind a proxy that puts it below a prefix (JupyterLab's: /user/someone/proxy/8080), all addresses get that prefix.
//   Whoever else says so gets wrong links, and nobody but them.
// - Links that were stored in articles under another address of this blog are shown with the address of now.

(function (): void {
    $prefix = $_SERVER['HTTP_X_FORWARDED_PREFIX'] ?? '';
    if (preg_match('#^(/(?!\.\.?(/|$))[\w.~@%!$()*+;=:-]+)+$#D', $prefix)) {
        if (str_starts_with($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '', 'https')) {
            $_SERVER['HTTPS'] = 'on';
        }
        foreach (['REQUEST_URI', 'SCRIPT_NAME', 'PHP_SELF'] as $name) {
            $_SERVER[$name] = $prefix . $_SERVER[$name];
        }
        $scheme = ($_SERVER['HTTPS'] ?? '') === 'on' ? 'https' : 'http';
        define('WP_HOME', "$scheme://{$_SERVER['HTTP_HOST']}$prefix");
        define('WP_SITEURL', WP_HOME);
        // Apache, behind the proxy, knows nothing of the prefix.
        lab_hook('mod_rewrite_rules', fn($rules) => str_replace("$prefix/", '/', $rules));
    }
    lab_hook('plugins_loaded', 'lab_stored_links');
})();

// WordPress takes what stands here before it is loaded; there is no add_filter() yet.
function lab_hook(string $name, callable $do): void
{
    $GLOBALS['wp_filter'][$name][10][] = ['accepted_args' => 1, 'function' => $do];
}

// Links are stored as they were when the blog was installed, and shown as they are for this visitor.
function lab_stored_links(): void
{
    $stored = rtrim(wp_load_alloptions()['siteurl'] ?? '', '/');     // not what WP_SITEURL says
    $now = rtrim(get_option('siteurl'), '/');
    if ($stored === '' || $stored === $now) {
        return;
    }
    $change = fn(string $text, string $from, string $to): string =>
        preg_replace('#' . preg_quote($from, '#') . '(?![\w.:-])#', addcslashes($to, '\\$'), $text) ?? $text;
    $escaped = fn(string $address): string => str_replace('/', '\/', $address);     // as in JSON
    add_filter('wp_insert_post_data', fn($data) => array_replace($data, [
        'post_content' => $change($data['post_content'], $now, $stored),
        'post_excerpt' => $change($data['post_excerpt'], $now, $stored),
    ]));
    ob_start(function (string $page) use ($change, $escaped, $stored, $now): string {
        if (preg_grep('#^Content-Type:\s*(image|font|audio|video|application/(?!json|\w+\+xml|xml))#i', headers_list())) {
            return $page;
        }
        return $change($change($page, $stored, $now), $escaped($stored), $escaped($now));
    });
}
