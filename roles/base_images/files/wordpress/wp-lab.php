<?php
// Installs WordPress and writes articles without a browser. Passwords and articles come on standard input, because
// arguments can be read by everybody.

const USAGE = <<<'TEXT'
wp-lab install --url URL --title TITLE --user NAME --email ADDRESS [--locale zh_CN]     password on standard input
wp-lab post --title TITLE [--once]                       article (HTML) on standard input; --once: not a second time
wp-lab is-installed                                      exit code 0: yes, 1: no, 3: the database does not answer

TEXT;

function stop(string $why, int $code): never
{
    fwrite(STDERR, "wp-lab: $why\n");
    exit($code);
}

function options(array $words, array $required, array $more = [], array $flags = []): array
{
    $given = [];
    while ($words) {
        $name = ltrim(array_shift($words), '-');
        if (in_array($name, $flags, true)) {
            $given[$name] = true;
        } elseif ($words && in_array($name, [...$required, ...$more], true)) {
            $given[$name] = array_shift($words);
        } else {
            stop("I do not know '--$name', or its value is missing.\n" . USAGE, 2);
        }
    }
    foreach (array_diff($required, array_keys($given)) as $name) {
        stop("--$name is missing.\n" . USAGE, 2);
    }
    return $given;
}

// Before WordPress is loaded, which would answer with a page of HTML.
function wait_for_database(int $seconds = 30): void
{
    $setting = function (string $name, string $default = ''): string {
        $file = getenv($name . '_FILE');
        return getenv($name) ?: ($file && is_readable($file) ? rtrim(file_get_contents($file), "\r\n") : $default);
    };
    mysqli_report(MYSQLI_REPORT_OFF);
    [$host, $port] = [...explode(':', $setting('WORDPRESS_DB_HOST', 'mysql'), 2), '3306'];
    $until = time() + $seconds;
    do {
        $link = @mysqli_connect($host, $setting('WORDPRESS_DB_USER', 'wordpress'), $setting('WORDPRESS_DB_PASSWORD'),
            $setting('WORDPRESS_DB_NAME', 'wordpress'), (int) $port);
        if ($link) {
            mysqli_close($link);
            return;
        }
        if (mysqli_connect_errno() === 1045) {
            break;      // a wrong password does not get better
        }
        usleep(200000);
    } while (time() < $until);
    stop("the database at $host:$port does not let me in: " . mysqli_connect_error()
        . '. Look at its log, and at WORDPRESS_DB_HOST, _USER, _PASSWORD and _NAME.', 3);
}

$words = array_slice($argv, 1);
$verb = array_shift($words) ?? '';
$given = match ($verb) {
    'install' => options($words, ['url', 'title', 'user', 'email'], ['locale']),
    'post' => options($words, ['title'], [], ['once']),
    'is-installed' => options($words, []),
    default => stop(USAGE, 2),
};
$input = $verb === 'is-installed' ? '' : trim(stream_get_contents(STDIN));
if ($verb === 'install' && $input === '') {
    stop('the password must come on standard input.', 2);
}
wait_for_database($verb === 'is-installed' ? 2 : 30);

$url = $given['url'] ?? 'http://localhost';
$_SERVER += ['HTTP_HOST' => preg_replace('#^https?://([^/]+).*#', '$1', $url), 'REQUEST_METHOD' => 'GET',
    'REQUEST_URI' => '/', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'SERVER_NAME' => 'localhost', 'REMOTE_ADDR' => '127.0.0.1'];
if ($verb === 'install') {
    define('WP_SITEURL', $url);     // what wp_install() takes for the address
}
define('WP_INSTALLING', $verb !== 'post');
define('WP_HTTP_BLOCK_EXTERNAL', true);
require '/var/www/html/wp-load.php';
if ($verb === 'install') {
    function wp_new_blog_notification($title, $url, $user, $password): void {}      // nobody here delivers mail
}
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

if ($verb === 'is-installed') {
    exit(is_blog_installed() ? 0 : 1);
}
if ($verb === 'install') {
    if (is_blog_installed()) {
        echo "already installed\n";
        exit(0);
    }
    $made = wp_install($given['title'], $given['user'], $given['email'], true, '', $input, $given['locale'] ?? '');
    if (!is_array($made) || empty($made['user_id'])) {
        stop('WordPress could not be installed; the log of this container says more.', 1);
    }
    echo "installed\n";
    exit(0);
}
if (!is_blog_installed()) {
    stop('WordPress is not installed yet. Run `wp-lab install` first.', 1);
}
if (isset($given['once'])) {
    $there = get_posts(['title' => $given['title'], 'post_status' => 'publish', 'numberposts' => 1]);
    if ($there) {
        echo "already there: {$there[0]->ID}\n";
        exit(0);
    }
}
$admin = get_users(['role' => 'administrator', 'number' => 1, 'orderby' => 'ID'])[0] ?? null;
$id = wp_insert_post(['post_title' => $given['title'], 'post_content' => $input, 'post_status' => 'publish',
    'post_author' => $admin->ID ?? 1], true);
if (is_wp_error($id)) {
    stop('the article could not be kept: ' . $id->get_error_message(), 1);
}
echo "posted: $id\n";
